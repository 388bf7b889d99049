// docker-compose.yml, Dockerfile and deploy/compose agree with each other and with the gateway. What nginx thinks of its file: `npm run pods`.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import { duration } from '../../../src/config/units.js';

const ROOT = join(__dirname, '../../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const GATEWAYS = ['gateway-1', 'gateway-2', 'gateway-3'];

interface Service {
  readonly image: string;
  readonly environment?: Record<string, string>;
  readonly volumes?: string[];
  readonly networks: string[];
  readonly ports?: string[];
  readonly stop_grace_period?: string;
  readonly read_only?: boolean;
  readonly command?: string[];
}

const { services } = parse(read('docker-compose.yml'), { merge: true }) as { services: Record<string, Service> };
const gateways = GATEWAYS.map((name) => [name, services[name] as Service] as const);

it.each(gateways)('%s finds the others, and the others find it', (name, service) => {
  expect(service.environment?.BERTH_INTERNAL__HOST).toBe(name);
  expect(service.environment?.BERTH_REDIS_URL).toBe('redis://redis:6379/0');
  // No value of its own: compose refuses to start before one is set, and says how.
  expect(service.environment?.BERTH_SECRET).toMatch(/^\$\{BERTH_SECRET:\?run: .*openssl/);
  expect(service.environment?.BERTH_ADMIN_TOKEN).toMatch(/^\$\{BERTH_ADMIN_TOKEN:\?run: .*openssl/);
  expect(service.read_only).toBe(true);
});

it('starts with the configuration that is mounted, and has time for its drain', () => {
  for (const [name, service] of gateways) {
    const [mount] = service.volumes as [string];
    const file = mount.slice(0, mount.indexOf(':'));
    const env = { ...service.environment, BERTH_SECRET: 'a secret of the tests', BERTH_ADMIN_TOKEN: 'a token' };
    const { config, warnings } = loadConfig({ file: join(ROOT, file), env, cwd: ROOT });
    expect([name, warnings]).toEqual([name, []]);
    const graceMs = duration('0s').parse(service.stop_grace_period);
    expect(graceMs).toBeGreaterThanOrEqual(config.drain.delay + config.drain.timeout + 12_000);
    for (const backend of Object.values(config.mcpServers)) {
      if ('url' in backend) expect(Object.keys(services)).toContain(new URL(backend.url).hostname);
    }
  }
});

it('lets only nginx be reached from outside, and nginx chooses among all', () => {
  expect(Object.keys(services).filter((name) => services[name]?.ports)).toEqual(['nginx']);
  const text = read('deploy/compose/nginx.conf');
  expect([...text.matchAll(/server (gateway-\d):8080/g)].map(([, name]) => name)).toEqual(GATEWAYS);
  expect(text).not.toMatch(/ip_hash|\bhash\b|sticky/);
  expect(text).toContain('proxy_buffering off;');
});

it('gives the build what it copies', () => {
  const ignore = read('.dockerignore').split('\n');
  const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names]) =>
    (names as string).split(' '),
  );
  expect(copied.length).toBeGreaterThan(3);
  for (const name of copied) {
    expect([name, existsSync(join(ROOT, name))]).toEqual([name, true]);
    expect(ignore).toContain(`!${name}`);
  }
});
