// What is refused at start, each with its remedy; and what is not.
import { reusePortObstacle } from '../../../src/config/reuse-port.js';
import { configSchema } from '../../../src/config/schema.js';
import { checkStartable } from '../../../src/config/start-checks.js';
import { loadText, refusal } from './load-text.js';

const secret = 'x'.repeat(32);

describe('the start is refused', () => {
  test.each([
    [
      'a shared Redis without a secret',
      'redis: { url: "redis://h" }',
      'redis.url (line 1): a shared Redis needs a secret',
      'BERTH_SECRET',
    ],
    ['a listener for all without a Host', 'listen: "0.0.0.0:80"\nauth: { mode: none }', 'listen (line 1)', 'Set publicUrl'],
    [
      'a listener for all without auth.mode',
      'listen: "0.0.0.0:80"\npublicUrl: http://x.example',
      'auth.mode is not written out',
      'auth: { mode: none }',
    ],
    ['a listener for all with an empty auth', 'listen: "[::]:80"\nhosts: [x]', 'auth.mode is not written out', '127.0.0.1'],
    [
      'an admin listener for all without a token',
      'admin: { listen: "0.0.0.0:81" }',
      'admin.listen (line 1)',
      'BERTH_ADMIN_TOKEN',
    ],
    ['a hold below the lease', 'internal: { lease: 9s }', 'limits.hold', 'at least 11s'],
    ['one port twice', 'listen: 127.0.0.1:8081', 'admin.listen: uses the port of listen', 'port of its own'],
    ['internal ports beyond the last', 'workers: 4\ninternal: { port: 65530 }', 'internal.port (line 2)', 'at most 65528'],
    ['internal ports over a listener', 'workers: 2\ninternal: { port: 8078 }', 'include that of listen (8080)', 'of its own'],
    ['a secret that can be guessed', 'internal: { secret: short }', 'internal.secret (line 1)', 'openssl rand'],
    [
      'WAIT with Cluster',
      `internal: { secret: ${secret} }\nredis: { url: "cluster:h:1,i:2", waitReplicas: 1 }`,
      'redis.waitReplicas (line 2)',
      'Sentinel',
    ],
    [
      'a Redis URL that is none',
      `internal: { secret: ${secret} }\nredis: { url: "sentinel:h:1" }`,
      'redis.url (line 2)',
      'sentinel:',
    ],
  ])('with %s', (_name, text, place, remedy) => {
    const message = refusal(text);
    expect(message).toContain(place);
    expect(message).toContain(remedy);
  });

  test('with the password of Redis nowhere in the message', () => {
    expect(refusal('redis: { url: "redis://u:hunter2@h:99999" }')).not.toContain('hunter2');
  });
});

describe('the start is allowed', () => {
  test.each([
    ['the defaults', ''],
    ['other loopback addresses', 'listen: 127.0.0.7:80\nadmin: { listen: "[::1]:80" }'],
    ['localhost', 'listen: localhost:80'],
    ['a container', `listen: 0.0.0.0:80\nhosts: ["*"]\nauth: { mode: none }\nadmin: { listen: 0.0.0.0:81, token: t }`],
    ['any ports', 'listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }'],
    ['one port on two addresses', 'listen: 127.0.0.1:80\nadmin: { listen: 127.0.0.2:80 }'],
    ['a shared Redis with a secret', `redis: { url: "redis://h" }\ninternal: { secret: ${secret} }`],
  ])('with %s', (_name, text) => {
    expect(() => loadText(text)).not.toThrow();
  });

  test('by the number of workers that will run', () => {
    const config = configSchema.parse({ internal: { port: 65_500 } });
    expect(checkStartable(config, { workers: 18 })).toEqual([]);
    expect(checkStartable(config, { workers: 19 })).toHaveLength(1);
  });

  test('with reuse-port where Node and the system have it', () => {
    const config = configSchema.parse({ scheduling: 'reuse-port' });
    expect(checkStartable(config, { workers: 2, reusePort: undefined })).toEqual([]);
    expect(checkStartable(config, { workers: 2, reusePort: 'it cannot' })).toEqual([
      { where: 'scheduling', message: 'it cannot', remedy: expect.stringContaining('round-robin or os') },
    ]);
  });
});

test.each([
  ['20.20.2', 'linux', false],
  ['22.11.0', 'linux', false],
  ['22.12.0', 'linux', true],
  ['23.0.0', 'linux', false],
  ['23.1.0', 'freebsd', true],
  ['24.4.1', 'linux', true],
  ['24.4.1', 'darwin', false],
  ['24.4.1', 'win32', false],
] as const)('a port can be shared between listeners with Node %s on %s: %s', (version, platform, can) => {
  expect(reusePortObstacle(version, platform) === undefined).toBe(can);
});
