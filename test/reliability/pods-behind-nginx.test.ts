// `npm run pods` as its user has it: three pods behind nginx, official clients, faults, Ctrl-C.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { childrenOf, commandOf, isAlive, killNow } from '../support/processes.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const SCRIPT = join(__dirname, '../../scripts/pods/pods.mjs');
const START_WITHIN_MS = 180_000;
const END_WITHIN_MS = 120_000;
/** drain.delay and drain.timeout of deploy/compose, and what a busy machine adds. */
const DRAIN_WITHIN_MS = 90_000;
const CLIENTS = 4;

const dir = mkdtempSync(join(tmpdir(), 'berth-pods-test-'));
let script: ChildProcess;
let said = '';
let url = '';
let pods: number[] = [];
const clients: SdkClient[] = [];
/** Numbers of log messages that each client has heard on its standalone stream. */
const heard = new Map<number, number>();

const familyOf = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(familyOf)];
const workersOf = (pod: number): number[] => childrenOf(pod).filter((pid) => commandOf(pid).includes('main.js'));
const hasEnded = () => script.exitCode !== null || script.signalCode !== null;

const everybodyCalls = () =>
  Promise.all(
    clients.map(async (client, number) => {
      const message = `client ${number}, ${Math.random()}`;
      expect(await client.callText('echo', { message })).toBe(`Echo: ${message}`);
    }),
  );

function everybodyHears(): Promise<unknown> {
  const before = new Map(heard);
  const silent = () => clients.flatMap((_, number) => ((heard.get(number) ?? 0) > (before.get(number) ?? 0) ? [] : [number]));
  // One message in five seconds, a reconnect and a take-over in between.
  return waitFor(
    () => `a log message for clients ${silent()}`,
    () => silent().length === 0,
    40_000,
  );
}

beforeAll(async () => {
  mkdirSync(join(dir, 't'));
  // A group of its own: what a terminal sends its Ctrl-C to.
  script = spawn(process.execPath, [SCRIPT], {
    env: { ...process.env, TMPDIR: join(dir, 't') },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  for (const stream of [script.stdout, script.stderr]) stream?.on('data', (chunk) => (said += chunk));
  await waitFor(
    () => `three pods; so far:\n${said}`,
    () => hasEnded() || said.includes('Ctrl-C ends all'),
    START_WITHIN_MS,
  );
  url = /MCP +(\S+)/.exec(said)?.[1] ?? '';
  pods = [...said.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  expect([said, pods.length]).toEqual([expect.stringContaining('/servers/demo/mcp'), 3]);
}, START_WITHIN_MS);

afterAll(async () => {
  await Promise.allSettled(clients.map((client) => client.close()));
  for (const pid of hasEnded() ? [] : familyOf(script.pid as number)) killNow(pid);
  rmSync(dir, { recursive: true, force: true });
});

test('clients call and are told things through nginx', async () => {
  for (let number = 0; number < CLIENTS; number += 1) {
    const prepare: Parameters<typeof connectSdkClient>[1] = {
      prepare: (client) =>
        client.setNotificationHandler(LoggingMessageNotificationSchema, () => {
          heard.set(number, (heard.get(number) ?? 0) + 1);
        }),
    };
    clients.push(await connectSdkClient(url, prepare));
  }
  await everybodyCalls();
  for (const client of clients) await client.callText('toggle-simulated-logging');
  await everybodyHears();
}, 90_000);

test('each worker may be killed: sessions go on, and their streams', async () => {
  for (const pod of pods) {
    for (const worker of workersOf(pod)) {
      killNow(worker);
      await waitFor(`worker ${worker} to be replaced`, () => !isAlive(worker) && workersOf(pod).length === 2, 30_000);
      await everybodyCalls();
    }
  }
  await everybodyHears();
}, 300_000);

test('a pod drains and no call fails', async () => {
  const [, pod] = pods as [number, number, number];
  process.kill(pod, 'SIGTERM');
  await waitFor(
    `pod ${pod} to end`,
    async () => {
      await everybodyCalls();
      return !isAlive(pod);
    },
    DRAIN_WITHIN_MS,
  );
  await everybodyCalls();
  await everybodyHears();
}, 180_000);

test(
  'Ctrl-C ends all, and nothing is left',
  async () => {
    const family = familyOf(script.pid as number);
    expect(family.length).toBeGreaterThan(8);
    process.kill(-(script.pid as number), 'SIGINT');
    await waitFor(() => `the script to end:\n${said}`, hasEnded, END_WITHIN_MS);
    expect([script.exitCode, script.signalCode]).toEqual([0, null]);
    expect(family.filter(isAlive).map(commandOf)).toEqual([]);
  },
  END_WITHIN_MS + 10_000,
);
