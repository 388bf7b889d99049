// How a child is started, and every way in which that fails.
import { tmpdir } from 'node:os';
import { isAlive } from '../../support/processes.js';
import { waitFor } from '../../support/wait-for.js';
import { readStartTime } from '../../../src/lifecycle/process-group.js';
import { unseal } from '../../../src/secrets/keyring.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { callTool, Fixture, keyring, RAW_SERVER, soon } from './harness.js';

const fixtures: Fixture[] = [];
function start(...args: ConstructorParameters<typeof Fixture>): Fixture {
  const fixture = new Fixture(...args);
  fixtures.push(fixture);
  return fixture;
}
afterEach(() => Promise.all(fixtures.splice(0).map(({ backend }) => backend.close())));

test('concurrent first calls start one child, which is reported, saved and confirmed before the first call', async () => {
  const fixture = start();
  const { session, host } = fixture.session();
  expect(session.isBoundToWorker).toBe(false);
  const callers = [1, 2, 3].map((id) => callTool(session, id, 'counter'));
  const counts = await Promise.all(callers.map(async ({ response }) => (await response).result.count));
  expect(counts.sort()).toEqual([1, 2, 3]);
  expect(fixture.groups).toHaveLength(1);
  expect(fixture.groups[0]).toEqual({ group: { pid: fixture.lastPid, startTime: readStartTime(fixture.lastPid) }, alive: true });
  expect(host.saves.map(({ previousGeneration, value }) => [previousGeneration, value.generation, value.transport])).toEqual([
    [0, 1, 'stdio'],
  ]);
  expect(unseal(keyring, session.record?.sealed ?? '', 'ref-of-session/raw')).toBe('{"id":"","headers":{}}');
  expect(session).toMatchObject({ isOpen: true, isBoundToWorker: true, backend: 'raw', info: { serverInfo: { name: 'raw' } } });
  expect(fixture.backend.lastInfo?.protocolVersion).toBe('2025-11-25');
  const { seen } = (await callTool(session, 4, 'seen').response).result;
  expect(seen.slice(0, 3).map((message: { method: string }) => message.method)).toEqual([
    'initialize',
    'notifications/initialized',
    'tools/call',
  ]);
  expect(seen[0].params.clientInfo).toEqual({ name: 'berth', version: '0.0.0-test' });
});

test('the child finds an allow-listed environment and its own env, nothing of the gateway', async () => {
  const environment = {
    ...{
      PATH: process.env.PATH as string,
      HOME: '/home/x',
      LC_ALL: 'C.UTF-8',
      npm_config_cache: '/cache',
      HTTPS_PROXY: 'http://proxy',
    },
    ...{ BERTH_SECRET: 'never', REDIS_URL: 'redis://never', AWS_SECRET_ACCESS_KEY: 'never', SHELL: '() { :; }' },
  };
  const fixture = start({ env: { TOKEN: 'mine', HOME: '/home/own' }, cwd: tmpdir() }, { environment });
  const { session } = fixture.session();
  const { env, cwd } = (await callTool(session, 1, 'env').response).result;
  expect(env).toEqual({
    ...{ PATH: process.env.PATH, HOME: '/home/own', LC_ALL: 'C.UTF-8', npm_config_cache: '/cache', HTTPS_PROXY: 'http://proxy' },
    TOKEN: 'mine',
  });
  expect(cwd).toBe(tmpdir());
});

test.each([
  ['a command that does not exist', { command: 'no-such-command-here' }, 'command_not_found'],
  ['a command that may not be executed', { command: RAW_SERVER }, 'command_not_executable'],
  ['a directory that does not exist', { cwd: '/no/such/directory' }, 'command_not_found'],
  ['an argument that no system takes', { args: ['a\0b'] }, 'spawn_failed'],
  ['an exit before initialize was answered', { args: [RAW_SERVER, '--exit=3'] }, 'exited'],
  ['an error as the answer to initialize', { args: [RAW_SERVER, '--refuse'] }, 'initialize_refused'],
  ['a version nobody speaks', { args: [RAW_SERVER, '--version=1999-01-01'] }, 'unsupported_version'],
])('%s is told as unavailable, and the next call tries again', async (_, config, reason) => {
  const fixture = start(config);
  const { session, host } = fixture.session();
  for (const id of [1, 2]) {
    const error = await callTool(session, id, 'echo').response.catch((cause: GatewayError) => cause);
    expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { backend: 'raw', reason } });
  }
  await expect(session.open(soon())).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  expect(session.isOpen).toBe(false);
  expect(host.saves).toEqual([]);
  expect(host.lost).toEqual([]);
  await waitFor(
    'every started group to be reported as gone',
    () => fixture.groups.length % 2 === 0 && fixture.groups.at(-1)?.alive !== true,
  );
});

test('what a failing child printed last is in the log, redacted, and not in the error', async () => {
  const fixture = start({ args: [RAW_SERVER, '--exit=3'] });
  const { session } = fixture.session();
  const error = await session.open(soon()).catch((cause: GatewayError) => cause);
  expect(JSON.stringify((error as GatewayError).toJsonRpc())).not.toContain('cannot start');
  const line = await waitFor('the end in the log', () => fixture.log.find(({ message }) => message === 'stdio backend ended'));
  expect(line.fields).toMatchObject({ reason: 'exited', code: 3, stderr: 'cannot start: password=***' });
  expect(JSON.stringify(fixture.log)).not.toContain('hunter2');
});

test('a start that takes too long ends with a time-out and the end of the child', async () => {
  const fixture = start({ args: [RAW_SERVER, '--slow-start=60000'] }, { startTimeout: 300 });
  const { session } = fixture.session();
  await expect(session.open(soon())).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT', details: { step: 'initialize' } });
  await waitFor('the child to be gone', () => !isAlive(fixture.lastPid));
});

test('a caller with less patience gives up alone: the child goes on starting for the others', async () => {
  const fixture = start({ args: [RAW_SERVER, '--slow-start=400'] });
  const { session } = fixture.session();
  const hasty = callTool(session, 1, 'echo', {}, { call: { deadlineMs: soon(50) } });
  const patient = callTool(session, 2, 'echo');
  await expect(hasty.response).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
  await expect(patient.response).resolves.toMatchObject({ id: 2 });
  expect(fixture.groups).toHaveLength(1);
});

test('a refused save ends the child: nothing is sent to it any more', async () => {
  const fixture = start();
  const { session, host } = fixture.session();
  host.saveAnswer = 'refused';
  await expect(callTool(session, 1, 'echo').response).rejects.toMatchObject({ code: 'NOT_OWNER' });
  await waitFor('the child to be gone', () => !isAlive(fixture.lastPid));
  expect(session.record).toBeUndefined();
});

test('a session that closes while it opens leaves no child, and its callers hear why', async () => {
  const fixture = start({ args: [RAW_SERVER, '--slow-start=60000'] });
  const { session } = fixture.session();
  const caller = callTool(session, 1, 'echo');
  await waitFor('the child to run', () => fixture.groups.length === 1);
  session.close(new GatewayError('SESSION_NOT_FOUND'));
  await expect(caller.response).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
  await waitFor('the child to be gone', () => !isAlive(fixture.lastPid));
  await expect(session.open(soon())).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
});
