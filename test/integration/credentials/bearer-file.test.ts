// A bearer token in a file that something else renews, as Kubernetes does it.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BearerFile } from '../../../src/backends/credentials/bearer-file.js';
import { unsealBackendSession } from '../../../src/backends/http/sealed-session.js';
import { FakeClock } from '../../support/fake-clock.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from '../backends-http/fixture.js';
import { callTool, keyring } from '../backends-http/harness.js';

let dir: string;
let made: BearerFile | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-bearer-'));
});
afterEach(() => {
  made?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** As kubelet: the name is a link through a directory link that is swapped as a whole. */
function project(version: number, token: string): string {
  const data = join(dir, `..v${version}`);
  mkdirSync(data);
  writeFileSync(join(data, 'token'), token);
  symlinkSync(`..v${version}`, join(dir, '..next'));
  renameSync(join(dir, '..next'), join(dir, '..data'));
  if (version === 1) symlinkSync('..data/token', join(dir, 'token'));
  return join(dir, 'token');
}

function watch(path: string) {
  const clock = new FakeClock();
  const logged: Array<Record<string, unknown>> = [];
  const log = (fields: object, message: string) => void logged.push({ ...fields, message });
  const credentials = new BearerFile({ backend: 'b', path, clock, logger: { info: log, warn: log } });
  made = credentials;
  const reads = (expected: string | undefined) =>
    waitFor(
      () => `the header ${expected}, got ${credentials.current()}`,
      () => {
        clock.advance(2000);
        return credentials.current() === expected;
      },
    );
  return { credentials, logged, reads, clock };
}

test('is sent trimmed, and read again when the link leads elsewhere', async () => {
  const path = project(1, 'token-one\n');
  const { credentials, reads, logged } = watch(path);
  expect(await credentials.ensure()).toBe('Bearer token-one');
  project(2, '  token-two  \n');
  await reads('Bearer token-two');
  expect(JSON.stringify(logged)).not.toContain('token-');
});

test('is missed at the start: a reason, one warning, and all is well once it is there', async () => {
  const path = join(dir, 'token');
  const { credentials, reads, logged, clock } = watch(path);
  await expect(credentials.ensure()).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    details: { backend: 'b', reason: 'credential_unavailable', cause: 'ENOENT' },
  });
  expect(credentials.problem).toBe('credential_unavailable');
  clock.advance(10_000);
  await expect(credentials.ensure()).rejects.toThrow();
  expect(logged).toHaveLength(1);
  writeFileSync(path, 'late');
  await reads('Bearer late');
  expect(credentials.problem).toBeUndefined();
});

test('goes missing, empty or bad later: the last value stays, one warning each', async () => {
  const path = join(dir, 'token');
  writeFileSync(path, 'good');
  const { credentials, logged, clock } = watch(path);
  await credentials.ensure();
  const warned = async (why: string) => {
    await waitFor(`the warning ${why}`, () => {
      clock.advance(2000);
      return logged.at(-1)?.why === why;
    });
    for (let check = 0; check < 3; check += 1) {
      clock.advance(2000);
      await credentials.ensure();
    }
    expect(logged.filter((line) => line.why === why)).toHaveLength(1);
    expect(credentials.current()).toBe('Bearer good');
  };
  rmSync(path);
  await warned('ENOENT');
  writeFileSync(path, '\n');
  await warned('empty');
  writeFileSync(path, 'two words');
  await warned('no_token');
  writeFileSync(path, 'x'.repeat(20_000));
  await warned('too_large');
  rmSync(path);
  mkdirSync(path);
  await warned('no_file');
});

describe('a backend with a bearer file', () => {
  const { startStrict, connect, createSession } = useBackends();

  const openWith = async (path: string) => {
    let good = 'Bearer one';
    const strict = await startStrict({ authorize: ({ authorization }) => authorization === good });
    const clock = new FakeClock();
    const credentials = new BearerFile({ backend: 'b', path, clock, logger: undefined });
    const backend = connect(strict.url, { bearerFile: path }, { credentials });
    return {
      strict,
      clock,
      backend,
      session: createSession(backend),
      accept: (value: string) => {
        good = `Bearer ${value}`;
      },
    };
  };

  test('the first request waits for it; it goes with everything and is not sealed into the record', async () => {
    const path = join(dir, 'token');
    writeFileSync(path, 'one');
    const { strict, session } = await openWith(path);
    expect((await callTool(session, 'echo', { text: 'a' })).text).toBe('a');
    await session.notify({ jsonrpc: '2.0', method: 'notifications/x' }, {});
    session.setListening(true);
    await waitFor('the stream', () => strict.streams.size === 1);
    expect(new Set(strict.requests.map(({ headers }) => headers.authorization))).toEqual(new Set(['Bearer one']));
    expect(unsealBackendSession(keyring, 'ref-1', 'b', session.record?.sealed ?? '')?.headers).toEqual({});
  });

  test('a 401 has the file read at once: the call is not repeated, the next one has the new token', async () => {
    const path = join(dir, 'token');
    writeFileSync(path, 'one');
    const { strict, session, accept } = await openWith(path);
    await callTool(session, 'echo');
    writeFileSync(path, 'second');
    accept('second');
    // The clock stands still: no check but the one that the refusal causes.
    expect((await callTool(session, 'echo')).error).toMatchObject({ details: { reason: 'http_401' } });
    expect(strict.of('tools/call')).toHaveLength(2);
    await waitFor('a call with the new token', async () => (await callTool(session, 'echo')).error === undefined);
  });

  test('an initialize that got 401 is sent once more with the new token, because it did not run', async () => {
    const path = join(dir, 'token');
    writeFileSync(path, 'old');
    const { strict, session, backend } = await openWith(path);
    expect((await callTool(session, 'echo')).error).toMatchObject({ details: { reason: 'http_401' } });
    // Nothing new in the file: nothing to repeat it with.
    expect(strict.of('initialize')).toHaveLength(1);
    writeFileSync(path, 'one');
    const again = createSession(backend);
    expect((await callTool(again, 'echo', { text: 'b' })).text).toBe('b');
    expect(strict.of('initialize').map(({ headers }) => headers.authorization)).toEqual([
      'Bearer old',
      'Bearer old',
      'Bearer one',
    ]);
  });

  test('DELETE goes out with the token of now, not of then; once more if that was revoked', async () => {
    const path = join(dir, 'token');
    writeFileSync(path, 'one');
    const { strict, session, backend, accept } = await openWith(path);
    await callTool(session, 'echo');
    writeFileSync(path, 'two');
    accept('two');
    const target = { id: 'session-1', protocolVersion: '2025-11-25', headers: { authorization: 'Bearer of-another-time' } };
    expect(await backend.end(target, 5000)).toEqual({ kind: 'status', status: 200 });
    expect(strict.of('DELETE').map(({ headers }) => headers.authorization)).toEqual(['Bearer one', 'Bearer two']);
  });

  test('without a file the call fails at once with the reason, and nothing reaches the backend', async () => {
    const { strict, session, backend } = await openWith(join(dir, 'nowhere'));
    expect((await callTool(session, 'echo')).error).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { backend: 'b', reason: 'credential_unavailable' },
    });
    expect(await backend.end({ id: 'x', protocolVersion: '2025-11-25', headers: {} }, 5000)).toEqual({
      kind: 'unreachable',
      reason: 'credential_unavailable',
    });
    expect(strict.connections).toBe(0);
  });
});
