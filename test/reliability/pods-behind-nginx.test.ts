// `npm run pods` as its user has it: three pods behind nginx, official clients, faults, Ctrl-C.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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

/** Short: the paths of Unix sockets below it are bounded. */
const dir = mkdtempSync(join(tmpdir(), 'b'));
let script: ChildProcess;
let said = '';
let url = '';
let pods: number[] = [];
const clients: SdkClient[] = [];
/** How many log messages each client has heard on its standalone stream. */
const heard: number[] = [];

const familyOf = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(familyOf)];
const workersOf = (pod: number): number[] => childrenOf(pod).filter((pid) => commandOf(pid).includes('main.js'));
const hasEnded = () => script.exitCode !== null || script.signalCode !== null;

async function connect(): Promise<void> {
  const number = heard.push(0) - 1;
  const client = await connectSdkClient(url, {
    prepare: (one) =>
      one.setNotificationHandler(LoggingMessageNotificationSchema, () => {
        heard[number] = (heard[number] as number) + 1;
      }),
  });
  clients.push(client);
  await client.callText('toggle-simulated-logging');
}

async function everybodyCalls(): Promise<void> {
  const calls = clients.map(async (client, number) => {
    const message = `client ${number}, ${Math.random()}`;
    expect(await client.callText('echo', { message })).toBe(`Echo: ${message}`);
  });
  await Promise.all(calls);
}

/** One message in five seconds; two, so that the stream was read while it ran. */
const isHeard = (number: number) =>
  waitFor(
    () => `client ${number} to hear two log messages; it heard ${heard[number]}`,
    () => (heard[number] as number) >= 2,
    40_000,
  );

/** The pod's own word, on the admin address that its configuration names. */
async function readyWorkers(pod: number): Promise<number> {
  const log = new RegExp(`pid ${pod} +log (\\S+)`).exec(said)?.[1] as string;
  const config = JSON.parse(readFileSync(join(dirname(log), 'berth.json'), 'utf8')) as { admin: { listen: string } };
  const answer = await fetch(`http://${config.admin.listen}/readyz`);
  return ((await answer.json()) as { workers: { ready: number } }).workers.ready;
}

beforeAll(async () => {
  // A group of its own: what a terminal sends its Ctrl-C to.
  script = spawn(process.execPath, [SCRIPT], {
    env: { ...process.env, TMPDIR: dir },
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
  for (let number = 0; number < CLIENTS; number += 1) await connect();
  await everybodyCalls();
  for (const number of heard.keys()) await isHeard(number);
}, 90_000);

test('each worker may be killed: sessions go on', async () => {
  for (const pod of pods) {
    for (const worker of workersOf(pod)) {
      killNow(worker);
      await waitFor(`worker ${worker} to be replaced`, async () => !isAlive(worker) && (await readyWorkers(pod)) === 2, 60_000);
      await everybodyCalls();
    }
  }
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
  // A new one: what the reference server resumes by an event id stays silent (its event store names no stream).
  await connect();
  await isHeard(heard.length - 1);
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
