// The MCP Inspector's command lines through a balancer per request: commands of one process each, a load in one session (`--load`), a
// kept connection (`mcpdo`), and a long call, while every pod is replaced and then every worker killed in turn.
import { whenAllServe } from '../support/cluster.js';
import { Fleet } from '../support/fleet.js';
import { type CommandResult, Inspector } from '../support/inspector.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

jest.setTimeout(900_000);

/** How a client hears that its call was in flight at a worker that died: -32012, or its balancer's word for a lost connection. */
const IN_FLIGHT = /-32012|outcome|502|Bad Gateway|ECONNRESET/i;
const LONG_MS = 12_000;
const WITHIN_MS = 120_000;

let backend: RecordingBackend;
let fleet: Fleet;
let inspector: Inspector;
let url: string;

beforeAll(async () => {
  inspector = await Inspector.find();
});
afterAll(() => inspector?.dispose());
beforeEach(async () => {
  backend = await startRecordingBackend({ features: true });
  const config = {
    mcpServers: { web: { type: 'http', url: backend.url } },
    drain: { delay: '3s', timeout: '25s' },
    log: { level: 'warn', format: 'json' },
  };
  fleet = await Fleet.start({ config, workers: 2 }, 2);
  url = `${fleet.fresh.origin}/mcp`;
});
afterEach(async () => {
  await fleet?.dispose();
  await backend?.close();
});

interface Done extends CommandResult {
  readonly phase: string;
  readonly what: string;
}

/** Runs commands one after the other until it is stopped. */
class Loop {
  readonly done: Done[] = [];
  phase = 'before';
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(commands: ReadonlyArray<readonly [what: string, run: () => Promise<CommandResult>]>) {
    this.#running = this.#run(commands);
  }

  good(phase: string): number {
    return this.done.filter((one) => one.phase === phase && one.code === 0).length;
  }

  failed(phase: string): Done[] {
    return this.done.filter((one) => one.phase === phase && one.code !== 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(commands: ReadonlyArray<readonly [string, () => Promise<CommandResult>]>): Promise<void> {
    for (let n = 0; !this.#stopped; n += 1) {
      const [what, run] = commands[n % commands.length] as (typeof commands)[0];
      const result = await run();
      this.done.push({ phase: this.phase, what, ...result });
    }
  }
}

const textOf = ({ stdout }: CommandResult) => (JSON.parse(stdout) as { content: Array<{ text: string }> }).content[0]?.text;

test('commands, a load and a kept connection live through a rolling restart and through the death of every worker', async () => {
  const connected = await inspector.mcpdo('connect', url, '--connection', 'steady');
  expect(connected).toMatchObject({ code: 0 });
  let nonce = 0;
  const commands = new Loop([
    ['tools/list', () => inspector.cli(url, 'tools/list')],
    ['tools/call', () => inspector.cli(url, 'tools/call', '--tool-name', 'echo', '--tool-arg', `nonce=command ${nonce++}`)],
    ['resources/list', () => inspector.cli(url, 'resources/list')],
    ['resources/read', () => inspector.cli(url, 'resources/read', '--uri', 'remote://watched')],
    ['prompts/list', () => inspector.cli(url, 'prompts/list')],
  ]);
  const kept = new Loop([['mcpdo tools/call', () => inspector.mcpdo('--connection', 'steady', 'tools/call', 'counter')]]);
  const loops = [commands, kept];
  const goOn = async (phase: string) => {
    await waitFor(`commands to go on: ${phase}`, () => commands.good(phase) > 1 && kept.good(phase) > 0, WITHIN_MS);
  };
  const begin = (phase: string) => {
    for (const loop of loops) loop.phase = phase;
  };
  try {
    await goOn('before');
    begin('rolled');
    const slow = (args: object, ...more: string[]) =>
      inspector.cli(url, 'tools/call', '--tool-name', 'slow', '--tool-args-json', JSON.stringify(args), ...more);
    const load = slow({ ms: 200 }, '--load', '--load-duration', '45', '--load-concurrency', '2');
    const long = slow({ ms: LONG_MS, nonce: 'long' });
    await waitFor('the long call to run', () => backend.calls.some((call) => call.nonce === 'long'), WITHIN_MS);
    for (const pod of fleet.pods) {
      await fleet.remove(pod);
      await fleet.add(pod.host);
    }
    expect(await long).toMatchObject({ code: 0, stdout: expect.stringContaining('long:slow') });
    const summary = JSON.parse((await load).stdout) as { result: { ok: number; errors: number } };
    expect(summary.result).toMatchObject({ errors: 0 });
    await goOn('rolled');

    const workers = fleet.pods.flatMap((pod) => pod.workers());
    for (const [n, pid] of workers.entries()) {
      begin(`killed ${n}`);
      process.kill(pid, 'SIGKILL');
      await whenAllServe(fleet, pid);
      await goOn(`killed ${n}`);
    }
    await Promise.all(loops.map((loop) => loop.stop()));

    expect(loops.flatMap((loop) => [...loop.failed('before'), ...loop.failed('rolled')])).toEqual([]);
    const unexplained = loops.flatMap((loop) => loop.done).filter(({ code, stderr }) => code !== 0 && !IN_FLIGHT.test(stderr));
    expect(unexplained).toEqual([]);
    // One and the same backend session behind the kept connection: another one would count from 1. A stream that breaks, instead of
    // ending, mcpdo takes for the end of its session: the death of the very worker that held it.
    const counted = kept.done.filter(({ code }) => code === 0).map((one) => ({ phase: one.phase, count: Number(textOf(one)) }));
    const anew = counted.filter(({ count }, n) => n > 0 && count <= (counted[n - 1]?.count ?? 0));
    expect(counted[0]?.count).toBe(1);
    expect(anew.filter(({ phase }) => phase === 'rolled')).toEqual([]);
    expect(anew.length).toBeLessThanOrEqual(workers.length);
    const nonces = backend.calls.filter(({ tool }) => tool === 'echo').map((call) => call.nonce);
    expect(new Set(nonces).size).toBe(nonces.length);
    const figures = {
      commands: commands.done.length,
      kept: kept.done.length,
      load: summary.result.ok,
      sessionsAnewAtKills: anew.length,
    };
    const failed = loops.flatMap((loop) => loop.done).filter(({ code }) => code !== 0);
    process.stdout.write(`${JSON.stringify({ ...figures, failedAtKills: failed.map(({ what, stderr }) => [what, stderr]) })}\n`);
  } finally {
    await Promise.all(loops.map((loop) => loop.stop()));
  }
});
