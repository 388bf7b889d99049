// A Redis that speaks TLS only and wants a password; its certificate is signed by an authority of one's own.
import { Redis } from 'ioredis';
import { readFileSync } from 'node:fs';
import { type Certificates, makeCertificates } from '../support/certificates.js';
import { launchPod } from '../support/pod.js';
import { freePort, type RedisServer, startRedis } from '../support/redis-server.js';
import { expectOnce, HTTP, startLoad, startWorld, STDIO, tally } from '../support/trouble.js';

jest.setTimeout(60_000);

const PASSWORD = 'p@ss word/of:the#tests';
const SECRET = 'a-secret-of-the-tests-0123456789';

let certificates: Certificates;
let redis: RedisServer;
let url: string;

beforeAll(async () => {
  certificates = makeCertificates();
  const port = await freePort();
  const { ca, certificate, key } = certificates;
  redis = await startRedis({
    host: '127.0.0.1',
    appendonly: true,
    args: [
      ...['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', '--requirepass', PASSWORD],
      ...['--tls-ca-cert-file', ca, '--tls-cert-file', certificate, '--tls-key-file', key],
    ],
  });
  url = `rediss://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`;
});
afterAll(async () => {
  await redis?.stop();
  certificates?.remove();
});

const sharedTls = () => ({
  urlFor: () => url,
  connect: () => new Redis(url, { tls: { ca: readFileSync(certificates.ca) } }),
});

test('with its authority in NODE_EXTRA_CA_CERTS two pods serve sessions over it, also after it restarts', async () => {
  const world = await startWorld({ redis: sharedTls(), env: { NODE_EXTRA_CA_CERTS: certificates.ca }, config: {} });
  try {
    const sessions = await Promise.all([HTTP, HTTP, STDIO].map((path) => world.open(path)));
    const load = startLoad(sessions);
    await load.untilAllServed(5000);
    await redis.restart();
    await load.untilAllServed(10_000);
    const answers = await load.stop();
    expect(tally(answers)).toEqual({ ok: answers.length });
    expectOnce(world, answers);
    // The password is in the URL, and stands nowhere else.
    for (const pod of world.cluster.pods) {
      expect(JSON.stringify(pod.logs()) + pod.stderr()).not.toContain(PASSWORD);
      expect(JSON.stringify(pod.logs()) + pod.stderr()).not.toContain(encodeURIComponent(PASSWORD));
    }
  } finally {
    await world.dispose();
  }
});

test.each([
  ['without its authority', () => url, {}, /certificate[\s\S]*NODE_EXTRA_CA_CERTS/],
  [
    'with a wrong password',
    () => url.replace(/:[^:@]+@/, ':wrong@'),
    () => ({ NODE_EXTRA_CA_CERTS: certificates.ca }),
    /refuses us[\s\S]*password/,
  ],
])('%s the start is refused at once with 78 and says what to do', async (_name, address, env, expected) => {
  const pod = await launchPod({
    config: { redis: { url: address() }, internal: { secret: SECRET } },
    env: typeof env === 'function' ? env() : env,
  });
  try {
    const fromMs = performance.now();
    expect((await pod.exited).code).toBe(78);
    expect(performance.now() - fromMs).toBeLessThan(10_000);
    expect(pod.stderr()).toMatch(expected);
    expect(pod.stderr()).not.toContain(PASSWORD);
  } finally {
    await pod.dispose();
  }
});
