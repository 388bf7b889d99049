// biome-ignore-all lint/suspicious/noTemplateCurlyInString: of the shell
// What a command prints reaches a pipe whole, however long it is, and a reader that leaves early is no error.
import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

const MAIN = join(__dirname, '../../dist/main.js');
/** More than any pipe holds. */
const SESSIONS = 3000;

let api: Server;
let command: string[];

beforeAll(async () => {
  const one = { ref: 'r'.repeat(22), server: 'x', state: 'active', backends: [], client: { name: '\u001b[2J'.repeat(30) } };
  api = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ sessions: Array(SESSIONS).fill(one), total: SESSIONS }));
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  command = [MAIN, 'sessions', '--admin', `http://127.0.0.1:${(api.address() as AddressInfo).port}`];
});
afterAll(() => new Promise((resolve) => api.close(resolve)));

const run = (file: string, args: readonly string[]) =>
  new Promise<{ readonly out: string; readonly err: string }>((resolve) => {
    execFile(file, args, { maxBuffer: 64 * 1024 * 1024 }, (_error, out, err) => resolve({ out, err }));
  });

const SHELL = (script: string) => run('bash', ['-c', script, '-', process.execPath, ...command]);

test('all of it, to a reader that takes its time', async () => {
  const { out, err } = await SHELL('"$@" --json | { sleep 0.3; cat; }; echo "${PIPESTATUS[0]}"');
  const end = out.lastIndexOf('}') + 1;
  expect([out.slice(end).trim(), err]).toEqual(['0', '']);
  expect(JSON.parse(out.slice(0, end)).sessions).toHaveLength(SESSIONS);
});

test('its first line, to one that wants no more', async () => {
  const { out, err } = await SHELL('"$@" | head -1; echo "${PIPESTATUS[0]}"');
  expect(err).toBe('');
  expect(out).toMatch(/^SESSION .*BACKENDS\n0\n$/);
});

test('a disk that is full is told, with 1', async () => {
  const { out, err } = await SHELL('"$@" > /dev/full; echo "$?"');
  expect(out).toBe('1\n');
  expect(err).toMatch(/^berth: the output could not be written \(.*ENOSPC/);
});
