// Every scalar option has a variable; flag > environment > file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inheritedEnvironment } from '../../../src/lifecycle/inherited-environment.js';
import { listOptions, variableOf } from '../../../src/config/options.js';
import { loadText, refusal } from './load-text.js';

describe('the environment', () => {
  test('names nested options with two underscores', () => {
    expect(variableOf(['sessions', 'maxPerPrincipal'])).toBe('BERTH_SESSIONS__MAX_PER_PRINCIPAL');
    expect(variableOf(['publicUrl'])).toBe('BERTH_PUBLIC_URL');
  });

  test('reaches every option that is no map', () => {
    const without = listOptions().filter(({ path, variable }) => !variable && !path.includes('*'));
    expect(without.map(({ path }) => path.join('.'))).toEqual(['mcpServers', 'servers']);
  });

  test('beats the file, and a flag beats both', () => {
    const text = 'listen: 127.0.0.1:1\nworkers: 1\nlog: { level: warn }';
    const env = { BERTH_LISTEN: '127.0.0.1:2', BERTH_WORKERS: '2', BERTH_LOG__LEVEL: undefined };
    const { config } = loadText(text, { env, flags: { workers: '3', listen: undefined } });
    expect([config.listen, config.workers, config.log.level]).toEqual(['127.0.0.1:2', 3, 'warn']);
  });

  test('gives each kind of option its type', () => {
    const { config } = loadText('', {
      env: {
        BERTH_WORKERS: 'auto',
        BERTH_SESSIONS__MAX: '5',
        BERTH_SESSIONS__IDLE_TIMEOUT: '1m',
        BERTH_LIMITS__BODY: '1MiB',
        BERTH_EXPOSE__ALL: 'false',
        BERTH_HOSTS: 'a.example, b.example',
        BERTH_AUTH__MODE: 'none',
      },
    });
    expect(config).toMatchObject({
      workers: 'auto',
      sessions: { max: 5, idleTimeout: 60_000 },
      limits: { body: 1_048_576 },
      expose: { all: false, backends: true },
      hosts: ['a.example', 'b.example'],
      auth: { mode: 'none' },
    });
  });

  test('names the variable in a problem', () => {
    const message = refusal('', { env: { BERTH_SESSIONS__MAX: 'x', BERTH_LISTEN: '0.0.0.0:1' } });
    expect(message).toContain('BERTH_SESSIONS__MAX (sessions.max): expected a whole number');
    expect(refusal('', { flags: { workers: '0' } })).toContain('--workers (workers)');
  });

  test('has short names for what is set most', () => {
    const env = { BERTH_SECRET: 's'.repeat(32), BERTH_ADMIN_TOKEN: 'a', BERTH_REDIS_URL: 'redis://h:1' };
    const { config } = loadText('', { env });
    expect([config.internal.secret, config.admin.token, config.redis.url]).toEqual(['s'.repeat(32), 'a', 'redis://h:1']);
  });

  test('counts an empty variable as unset', () => {
    expect(loadText('admin: { token: t }', { env: { BERTH_ADMIN_TOKEN: '' } }).config.admin.token).toBe('t');
  });

  test('refuses two names of one option with different values', () => {
    expect(refusal('', { env: { BERTH_SECRET: 'a'.repeat(16), BERTH_INTERNAL__SECRET: 'b'.repeat(16) } })).toContain(
      'both set internal.secret',
    );
  });

  test('refuses unknown BERTH_ variables with a suggestion', () => {
    const message = refusal('', { env: { BERTH_SESSIONS_MAX_PER_PRINCIPAL: '1', BERTH_QQQQQQ: '1' } });
    expect(message).toContain('Did you mean BERTH_SESSIONS__MAX_PER_PRINCIPAL?');
    expect(message).toContain('environment variable BERTH_QQQQQQ: there is no such option');
  });

  test('lets through what Kubernetes sets for a Service named berth', () => {
    const env = {
      BERTH_PORT: 'tcp://10.0.0.1:80',
      BERTH_SERVICE_HOST: '10.0.0.1',
      BERTH_SERVICE_PORT: '80',
      BERTH_SERVICE_PORT_HTTP: '80',
      BERTH_PORT_80_TCP: 'tcp://10.0.0.1:80',
      BERTH_PORT_80_TCP_ADDR: '10.0.0.1',
      BERTH_ADMIN_SERVICE_HOST: '10.0.0.2',
      BERTH_ADMIN_PORT: 'tcp://10.0.0.2:81',
    };
    expect(loadText('', { env }).config.listen).toBe('127.0.0.1:8080');
  });
});

describe('a _FILE variable', () => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-secret-'));
  const file = join(directory, 'token');
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each([
    ['BERTH_SECRET_FILE', 'internal.secret'],
    ['BERTH_INTERNAL__OLD_SECRET_FILE', 'internal.oldSecret'],
    ['BERTH_ADMIN_TOKEN_FILE', 'admin.token'],
    ['BERTH_ADMIN__METRICS_TOKEN_FILE', 'admin.metricsToken'],
  ])('%s sets %s, without the last line break', (variable, path) => {
    writeFileSync(file, 'a secret of 20 chars\n');
    const { config } = loadText('', { env: { [variable]: file } });
    const value = path.split('.').reduce<unknown>((holder, key) => (holder as Record<string, unknown>)[key], config);
    expect(value).toBe('a secret of 20 chars');
  });

  test('that names no file, or an empty one, is an error that names both', () => {
    expect(refusal('', { env: { BERTH_SECRET_FILE: '/nowhere/at/all' } })).toContain(
      'BERTH_SECRET_FILE: the file /nowhere/at/all cannot be read (ENOENT)',
    );
    writeFileSync(file, '\n');
    expect(refusal('', { env: { BERTH_SECRET_FILE: file } })).toContain('is empty');
  });

  test('does not exist for options that are no secret', () => {
    expect(refusal('', { env: { BERTH_LISTEN_FILE: file } })).toContain('BERTH_LISTEN_FILE: there is no such option');
  });
});

describe('the environment of stdio children', () => {
  test('holds what programs need and nothing of ours', () => {
    const env = {
      PATH: '/bin',
      HOME: '/h',
      https_proxy: 'p',
      NODE_EXTRA_CA_CERTS: 'c',
      npm_config_cache: 'n',
      BERTH_SECRET: 's',
      REDIS_URL: 'r',
      AWS_SECRET_ACCESS_KEY: 'k',
      NODE_OPTIONS: '--x',
    };
    expect(Object.keys(inheritedEnvironment(env)).sort()).toEqual(
      ['HOME', 'NODE_EXTRA_CA_CERTS', 'PATH', 'https_proxy', 'npm_config_cache'].sort(),
    );
  });
});
