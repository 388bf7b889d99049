// The end of a child, wanted or not: what callers and the session hear, and that nothing of its group is left.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, STDIN_GRACE_MS, TERM_GRACE_MS } from '../../../src/backends/stdio/child.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { isGroupAlive } from '../../../src/lifecycle/process-group.js';
import { FakeClock } from '../../support/fake-clock.js';
import { childrenOf, commandOf, isAlive } from '../../support/processes.js';
import { waitFor } from '../../support/wait-for.js';
import { callTool, Fixture, RAW_SERVER, soon } from './harness.js';

const fixtures: Fixture[] = [];
async function open(...args: ConstructorParameters<typeof Fixture>) {
  const fixture = new Fixture(...args);
  fixtures.push(fixture);
  const made = fixture.session();
  await made.session.open(soon());
  return { fixture, ...made };
}
afterEach(() => Promise.all(fixtures.splice(0).map(({ backend }) => backend.close())));

const gone = new GatewayError('SESSION_NOT_FOUND');

test.each([
  ['that listens', [] as string[]],
  ['that ignores stdin and SIGTERM', ['--ignore-sigterm']],
])('closing ends a child %s with its grandchildren', async (_, flags) => {
  const { session, fixture } = await open({ args: [RAW_SERVER, '--grandchild', ...flags] });
  const { pid } = (await callTool(session, 1, 'grandchild').response).result;
  expect([isAlive(fixture.lastPid), isAlive(pid)]).toEqual([true, true]);
  const caller = callTool(session, 2, 'hang');
  session.close(gone);
  expect(session.isBoundToWorker).toBe(false);
  await expect(caller.response).rejects.toMatchObject({ code: gone.code, details: { executed: 'unknown' } });
  await waitFor('the group to be reported as gone', () => fixture.groups.at(-1)?.alive === false);
  expect([isAlive(fixture.lastPid), isAlive(pid)]).toEqual([false, false]);
});

describe('the order of the end, also behind a wrapper (npx, uvx) on whose pipes the server speaks', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'berth-trace-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  async function openWrapped(...flags: string[]) {
    const trace = join(dir, 'trace');
    // Not its last command: the shell stays as the parent.
    const script = [process.execPath, RAW_SERVER, `--trace=${trace}`, ...flags].join(' ');
    const { session, fixture } = await open({ command: 'sh', args: ['-c', `${script}; :`] });
    const server = childrenOf(fixture.lastPid)[0] as number;
    expect(commandOf(server)).toContain('raw-stdio-server');
    return { session, fixture, server, told: () => readFileSync(trace, 'utf8').trim().split('\n') };
  }

  test('ends by itself when its stdin is closed', async () => {
    const { session, fixture, server, told } = await openWrapped();
    session.close(gone);
    await waitFor('the group to be reported as gone', () => fixture.groups.at(-1)?.alive === false);
    expect(isAlive(server)).toBe(false);
    expect(told()).toEqual(['stdin']);
  });

  test('has its time before each step: stdin closed, SIGTERM, SIGKILL', async () => {
    const trace = join(dir, 'trace');
    const told = () => (existsSync(trace) ? readFileSync(trace, 'utf8').trim().split('\n') : []);
    const clock = new FakeClock();
    const groups: boolean[] = [];
    const lines: Buffer[] = [];
    const command = { command: process.execPath, args: [RAW_SERVER, `--trace=${trace}`, '--ignore-sigterm'], cwd: undefined };
    const child = new Child({ ...command, env: {} }, clock, {
      onGroup: (_, alive) => void groups.push(alive),
      onLine: (line) => void lines.push(line),
      onStderr: () => undefined,
      onDrain: () => undefined,
      onEnd: () => undefined,
    });
    child.stdin?.write('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}\n');
    await waitFor('the child to listen', () => lines.length === 1);
    child.end();
    await waitFor('the end of its stdin', () => told().length === 1);
    clock.advance(STDIN_GRACE_MS - 1);
    expect(isAlive(child.pid as number)).toBe(true);
    clock.advance(1);
    await waitFor('SIGTERM', () => told().length === 2);
    expect(told()).toEqual(['stdin', 'SIGTERM']);
    clock.advance(TERM_GRACE_MS - 1);
    expect(groups).toEqual([true]);
    clock.advance(1);
    await waitFor('its end', () => !isAlive(child.pid as number));
    await child.gone;
  });

  test('gets SIGTERM if it stays, as does its wrapper', async () => {
    const { session, fixture, server, told } = await openWrapped('--ignore-stdin');
    session.close(gone);
    await waitFor('the group to be reported as gone', () => fixture.groups.at(-1)?.alive === false);
    expect([isAlive(server), isAlive(fixture.lastPid)]).toEqual([false, false]);
    expect(told()).toEqual(['stdin', 'SIGTERM']);
  });

  test('gets SIGKILL if it still stays, although its wrapper has gone', async () => {
    const { session, fixture, server } = await openWrapped('--ignore-sigterm');
    session.close(gone);
    await waitFor('the wrapper to be gone', () => !isAlive(fixture.lastPid));
    await waitFor('the group to be reported as gone', () => fixture.groups.at(-1)?.alive === false);
    // SIGKILL was sent; that the system has carried it out is seen a moment later.
    await waitFor('the server to be dead', () => !isAlive(server));
  });

  test('does not outlive a wrapper that was killed', async () => {
    const { fixture, server } = await openWrapped('--ignore-sigterm');
    process.kill(fixture.lastPid, 'SIGKILL');
    await waitFor('the group to be reported as gone', () => fixture.groups.at(-1)?.alive === false);
    // SIGKILL was sent; that the system has carried it out is seen a moment later.
    await waitFor('the server to be dead', () => !isAlive(server));
  });
});

test('a grandchild does not outlive a child that died on its own', async () => {
  const { session, fixture, host } = await open({ args: [RAW_SERVER, '--grandchild'] });
  const { pid } = (await callTool(session, 1, 'grandchild').response).result;
  process.kill(fixture.lastPid, 'SIGKILL');
  await waitFor('the loss to be told', () => host.lost.length === 1);
  await waitFor('the group to be reported as gone', () => fixture.groups.at(-1)?.alive === false);
  expect(isAlive(pid)).toBe(false);
});

test('closing the backend ends the children of all its sessions and waits for them', async () => {
  const { session, fixture } = await open({ args: [RAW_SERVER, '--ignore-sigterm'] });
  await fixture.session().session.open(soon());
  const caller = callTool(session, 1, 'hang');
  await fixture.backend.close();
  await expect(caller.response).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { reason: 'removed' } });
  const groups = fixture.groups.filter(({ alive }) => alive).map(({ group }) => group);
  expect(groups).toHaveLength(2);
  expect(groups.some(isGroupAlive)).toBe(false);
});

test('onStateLoss fail: calls in flight have an unknown outcome, then the session ends', async () => {
  const { session, host } = await open();
  const hanging = callTool(session, 1, 'hang');
  const crashing = callTool(session, 2, 'crash');
  for (const caller of [hanging, crashing]) {
    await expect(caller.response).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      details: { backend: 'raw', reason: 'exited' },
    });
  }
  expect(host.lost).toHaveLength(1);
  await expect(callTool(session, 3, 'echo').response).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
  expect([session.isOpen, session.isBoundToWorker]).toEqual([false, false]);
});

test('onStateLoss reinitialize: the next call starts a new child, the call in flight is not repeated', async () => {
  const { session, host, fixture } = await open({ onStateLoss: 'reinitialize' });
  await callTool(session, 1, 'counter').response;
  await expect(callTool(session, 2, 'crash').response).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  expect((await callTool(session, 3, 'counter').response).result.count).toBe(1);
  expect(host.saves.map(({ previousGeneration, value }) => [previousGeneration, value.generation])).toEqual([
    [0, 1],
    [1, 2],
  ]);
  expect(session.record?.generation).toBe(2);
  expect(host.lost).toEqual([]);
  expect(fixture.groups.filter(({ alive }) => alive)).toHaveLength(2);
});

test('an answer that was written right before the exit still arrives', async () => {
  const { session } = await open({ onStateLoss: 'reinitialize' });
  expect((await callTool(session, 1, 'answerAndCrash').response).result).toEqual({ last: 'words' });
});

test('a child that stops reading is ended at the next write', async () => {
  const { session, host, fixture } = await open({ onStateLoss: 'reinitialize' });
  const caller = callTool(session, 1, 'closeStdin');
  await waitFor('the child to have closed its stdin', () => host.notifications.length === 1);
  const next = callTool(session, 2, 'echo');
  for (const { response } of [caller, next]) {
    await expect(response).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { reason: 'stdin_closed' } });
  }
  await waitFor('the child to be gone', () => !isAlive(fixture.groups[0]?.group.pid as number));
});

test('a child that writes a line without end is killed', async () => {
  const { session, fixture } = await open();
  await expect(callTool(session, 1, 'endless').response).rejects.toMatchObject({
    code: 'OUTCOME_UNKNOWN',
    details: { reason: 'line_too_long' },
  });
  await waitFor('the child to be gone', () => !isAlive(fixture.lastPid));
});

test('a record of an earlier owner: fail ends the session at once, but not from within', async () => {
  const { host: first } = await open();
  const fixture = new Fixture();
  const { host, session } = fixture.session(first.saves[0]?.value);
  expect(host.lost).toEqual([]);
  await waitFor('the loss to be told', () => host.lost.length === 1);
  await expect(session.open(soon())).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
  expect(fixture.groups).toEqual([]);
});

test('a record of an earlier owner: reinitialize starts a child of the next generation at the next call', async () => {
  const { host: first } = await open();
  const fixture = new Fixture({ onStateLoss: 'reinitialize' });
  fixtures.push(fixture);
  const { host, session } = fixture.session(first.saves[0]?.value);
  expect([session.isOpen, session.isBoundToWorker, session.record?.generation]).toEqual([false, false, 1]);
  expect(fixture.groups).toEqual([]);
  expect((await callTool(session, 1, 'counter').response).result.count).toBe(1);
  expect(host.saves.map(({ previousGeneration, value }) => [previousGeneration, value.generation])).toEqual([[1, 2]]);
});
