// What each option allows but the gateway refuses to start with: unsafe or impossible together.
import { StartError } from '../errors/start-error.js';
import { parseRedisUrl } from '../redis/address.js';
import { addressOf, isLoopback, isWildcard } from './address.js';
import { checkCredentials } from './check-credentials.js';
import type { Problem } from './problems.js';
import { reusePortObstacle } from './reuse-port.js';
import type { Config } from './schema.js';
import { formatDuration } from './units.js';

/** From a lease that runs out to an owner that has taken over: a request held for less would fail although all went well. */
const TAKE_OVER_MS = 2000;
/** Below that a secret can be guessed. */
const SECRET_MIN = 16;

export interface StartFacts {
  /** How many workers will run, `auto` resolved. */
  readonly workers: number;
  /** Why `scheduling: reuse-port` cannot be had; default: as found here. */
  readonly reusePort?: string | undefined;
}

/** Everything that forbids the start (exit code 78), each with its remedy; empty: go on. */
export function checkStartable(config: Config, facts: StartFacts): Problem[] {
  return [
    ...checkListeners(config),
    ...checkRedis(config),
    ...checkSecrets(config),
    ...checkHold(config),
    ...checkPorts(config, facts),
    ...checkScheduling(config, facts),
    ...checkCredentials(config),
  ];
}

function* checkListeners({ listen, publicUrl, hosts, auth, admin }: Config): Generator<Problem> {
  if (!isLoopback(addressOf(listen).host)) {
    if (!publicUrl && !hosts.length) {
      const message = `${listen} can be reached from outside, and no Host is allowed`;
      yield { where: 'listen', message, remedy: 'Set publicUrl to the URL that clients use, or hosts; or listen on 127.0.0.1.' };
    }
    if (!auth) {
      yield {
        where: 'listen',
        message: `${listen} can be reached from outside, and auth.mode is not written out`,
        remedy:
          'Write auth: { mode: keys } with keys, or auth: { mode: none } if a proxy or the network keeps strangers out; or listen on 127.0.0.1.',
      };
    }
  }
  if (!isLoopback(addressOf(admin.listen).host) && !admin.token) {
    yield {
      where: 'admin.listen',
      message: `${admin.listen} can be reached from outside, and there is no admin token`,
      remedy: 'Set BERTH_ADMIN_TOKEN or BERTH_ADMIN_TOKEN_FILE (`openssl rand -hex 32` makes one); or listen on 127.0.0.1.',
    };
  }
}

function* checkRedis({ redis, internal }: Config): Generator<Problem> {
  if (!redis.url) return;
  if (!internal.secret) {
    yield {
      where: 'redis.url',
      message: 'a shared Redis needs a secret that all pods share',
      remedy: 'Set BERTH_SECRET or BERTH_SECRET_FILE to the same value everywhere (`openssl rand -hex 32` makes one).',
    };
  }
  try {
    const address = parseRedisUrl(redis.url);
    if (address.kind === 'cluster' && redis.waitReplicas > 0) {
      const message = 'cannot be used with Redis Cluster';
      yield { where: 'redis.waitReplicas', message, remedy: 'Set it to 0, or use Sentinel.' };
    }
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const [message, ...remedy] = error.message.replace(/^redis\.url: /, '').split('\n');
    yield { where: 'redis.url', message: (message as string).replace(/\.$/, ''), remedy: remedy.join(' ') };
  }
}

function* checkSecrets({ internal }: Config): Generator<Problem> {
  for (const key of ['secret', 'oldSecret'] as const) {
    if (internal[key] && internal[key].length < SECRET_MIN) {
      const message = `is shorter than ${SECRET_MIN} characters`;
      yield { where: `internal.${key}`, message, remedy: '`openssl rand -hex 32` makes one.' };
    }
  }
}

function* checkHold({ limits, internal }: Config): Generator<Problem> {
  const least = internal.lease + TAKE_OVER_MS;
  if (limits.hold < least) {
    yield {
      where: 'limits.hold',
      message: `${formatDuration(limits.hold)} is less than internal.lease + 2s: requests would fail before a dead owner is replaced`,
      remedy: `Set limits.hold to at least ${formatDuration(least)}, or shorten internal.lease (${formatDuration(internal.lease)}).`,
    };
  }
}

function* checkPorts({ listen, admin, internal }: Config, { workers }: StartFacts): Generator<Problem> {
  const [front, back] = [addressOf(listen), addressOf(admin.listen)];
  const meet = front.host === back.host || isWildcard(front.host) || isWildcard(back.host);
  if (front.port !== 0 && front.port === back.port && meet) {
    yield { where: 'admin.listen', message: `uses the port of listen (${front.port})`, remedy: 'Give it a port of its own.' };
  }
  if (internal.port === 0) return;
  const last = internal.port + 2 * workers - 1;
  const range = `${internal.port} to ${last} (2 × ${workers} workers)`;
  if (last > 65_535) {
    yield {
      where: 'internal.port',
      message: `the ports ${range} end beyond 65535`,
      remedy: `Choose at most ${65_536 - 2 * workers}.`,
    };
  }
  for (const [option, { port }] of [['listen', front] as const, ['admin.listen', back] as const]) {
    if (port >= internal.port && port <= last) {
      const message = `the ports ${range} include that of ${option} (${port})`;
      yield { where: 'internal.port', message, remedy: 'Choose a range of its own.' };
    }
  }
}

function* checkScheduling({ scheduling }: Config, facts: StartFacts): Generator<Problem> {
  if (scheduling !== 'reuse-port') return;
  const message = 'reusePort' in facts ? facts.reusePort : reusePortObstacle();
  if (message)
    yield { where: 'scheduling', message, remedy: 'Set it to round-robin or os, or run a Node and a system that can.' };
}
