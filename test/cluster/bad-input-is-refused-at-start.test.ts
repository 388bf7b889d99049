// Bad input: each gets its exit code, and a message that names the place and what to do.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/ports.js';
import { killNow, processesOf } from '../support/processes.js';
import { startRedis } from '../support/redis-server.js';

const MAIN = join(__dirname, '../../dist/main.js');
const ENDS_WITHIN_MS = 30_000;

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-bad-'));
  mkdirSync(join(dir, 't'));
});
afterEach(() => {
  const left = processesOf(dir);
  for (const pid of left) killNow(pid);
  rmSync(dir, { recursive: true, force: true });
  expect(left).toEqual([]);
});

interface Outcome {
  readonly code: number | null;
  /** What a person sees. */
  readonly text: string;
}

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: dir,
      env: { PATH: process.env.PATH ?? '', TMPDIR: join(dir, 't'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: ENDS_WITHIN_MS,
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, text }));
  });
}

/** How a configuration names a variable. */
const variable = (name: string) => `$\{${name}}`;

async function serve(config: string | object, env: Record<string, string> = {}): Promise<Outcome> {
  const file = join(dir, 'berth.yaml');
  const ports = { listen: `127.0.0.1:${await freePort()}`, admin: { listen: `127.0.0.1:${await freePort()}` }, workers: 1 };
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify({ ...ports, ...config }));
  return run(['serve', '--config', file], env);
}

test.each<[string, string | object, RegExp[]]>([
  ['an unknown key, with a suggestion', { mcpServer: {} }, [/mcpServer\b/, /mcpServers/]],
  ['an unknown nested key, with a suggestion', { sessions: { idleTimeOut: '1h' } }, [/sessions/, /idleTimeOut/, /idleTimeout/]],
  ['a wrong type', { workers: 'many' }, [/workers/]],
  ['a bare number for a duration', { drain: { timeout: 25 } }, [/drain\.timeout/, /duration/]],
  ['a variable that is not set', { admin: { token: variable('NO_SUCH_VARIABLE') } }, [/NO_SUCH_VARIABLE/, /admin\.token/]],
  ['text that is not YAML', 'listen: [', [/berth\.yaml/]],
  ['a listen address off loopback', { listen: '0.0.0.0:8080' }, [/listen/, /publicUrl|hosts/]],
  ['a listen address off loopback without auth.mode', { listen: '0.0.0.0:8080', hosts: ['*'] }, [/auth\.mode/]],
  ['an admin address off loopback without a token', { admin: { listen: '0.0.0.0:8081' } }, [/admin/, /token/]],
  ['a shared Redis without a secret', { redis: { url: 'redis://127.0.0.1:1' } }, [/secret/]],
  ['a hold shorter than the lease', { limits: { hold: '3s' } }, [/limits\.hold/, /lease/]],
  ['a virtual server of an unknown backend', { servers: { a: { backends: ['nowhere'] } } }, [/servers\.a/, /nowhere/]],
  [
    'one name for a backend and a server',
    { mcpServers: { a: { command: 'true' } }, servers: { a: { backends: ['a'] } } },
    [/\ba\b/],
  ],
])('%s: exit code 78', async (_name, config, expected) => {
  const { code, text } = await serve(config);
  for (const pattern of expected) expect(text).toMatch(pattern);
  expect(text).not.toMatch(/^\s+at .*\(.*:\d+:\d+\)$/m); // no stack: it is the user's mistake
  expect(code).toBe(78);
});

test('a configuration file that does not exist: exit code 78 and its name', async () => {
  const { code, text } = await run(['serve', '--config', join(dir, 'missing.yaml')]);
  expect(text).toMatch(/missing\.yaml/);
  expect(code).toBe(78);
});

test.each([[['no-such-command']], [['serve', '--no-such-flag']], [['serve', '--workers']]])('%j: exit code 64', async (args) => {
  const { code, text } = await run(args);
  expect(text).not.toBe('');
  expect(code).toBe(64);
});

test.each(['listen', 'admin'])('a port in use for %s: exit code 69 and the address', async (which) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  try {
    const address = `127.0.0.1:${port}`;
    const { code, text } = await serve(which === 'listen' ? { listen: address } : { admin: { listen: address } });
    expect(text).toContain(String(port));
    expect(code).toBe(69);
  } finally {
    await new Promise<void>((resolve) => taken.close(() => resolve()));
  }
});

test('a Redis that cannot be reached: exit code 69 after redis.startTimeout', async () => {
  const port = await freePort();
  const startedAt = performance.now();
  const { code, text } = await serve({
    redis: { url: `redis://127.0.0.1:${port}`, startTimeout: '1s' },
    internal: { secret: 'x'.repeat(40) },
  });
  expect(text).toMatch(/Redis/i);
  expect(text).toContain(String(port));
  expect(code).toBe(69);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});

test('a Redis that evicts: exit code 78 and the remedy', async () => {
  const redis = await startRedis({ host: '127.0.0.1', args: ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'] });
  try {
    const { code, text } = await serve({ redis: { url: redis.url }, internal: { secret: 'x'.repeat(40) } });
    expect(text).toMatch(/noeviction/);
    expect(code).toBe(78);
  } finally {
    await redis.stop();
  }
});

test('no secret of the configuration is in any message', async () => {
  const { text } = await serve({ admin: { token: variable('TOKEN') }, mcpServer: {} }, { TOKEN: 'very-secret-value' });
  expect(text).not.toContain('very-secret-value');
});
