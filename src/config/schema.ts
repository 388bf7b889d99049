// Every option: meaning, unit, default, reason. docs/configuration.md and the type `Config` are made from this schema.
// The effective configuration is JSON-safe (it travels to the workers): durations are milliseconds, sizes bytes.
import { z } from 'zod';
import { isAddressRange, parseAddress } from './address.js';
import { doc } from './doc.js';
import { auth } from './schema-auth.js';
import { backends, virtualServers } from './schema-backends.js';
import { limits } from './schema-limits.js';
import { duration } from './units.js';

export { duration, size } from './units.js';

/** `host:port` or `[v6]:port`. */
const address = z
  .string()
  .refine((text) => parseAddress(text) !== undefined, 'expected HOST:PORT such as "127.0.0.1:8080" or "[::1]:8080"');

/** URLs of endpoints are made from it, which are shown and pasted. */
const publicUrl = z
  .url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' })
  .refine((text) => !/[?#@\s]/.test(text), 'expected a URL without user, query and fragment');

const REDIS_URL = /^(?:(?:rediss?|unix|sentinels?|clusters?):\S+)?$/;

export const configSchema = z.strictObject({
  listen: doc(address.default('127.0.0.1:8080'), {
    text: 'Where clients connect: MCP endpoints, `/livez`, `/readyz`. Off loopback it needs `publicUrl` or `hosts`, and `auth.mode` written out.',
    reason: '`0.0.0.0:8080` in a container.',
  }),
  publicUrl: doc(publicUrl.optional(), {
    text: 'The URL that clients use, without `/mcp`: its Host and Origin are allowed. Unset: loopback only.',
    reload: 'live',
    reason: 'Set it as soon as the gateway has a name, behind a load balancer above all.',
  }),
  hosts: doc(
    z
      .array(z.string().regex(/^(\*|[^\s/:*]+|\[[0-9a-fA-F:.]+\])$/, 'expected a host name without scheme and port, or "*"'))
      .default([]),
    {
      text: 'Further Host names that are served, with any port; `*` allows all. A loopback listener always allows loopback names.',
      reload: 'live',
      reason: 'Names besides that of `publicUrl`, for example the one inside the cluster.',
    },
  ),
  origins: doc(
    z.array(z.string().regex(/^[a-z][a-z0-9+.-]*:\/\/[^\s/]+$/i, 'expected an origin such as "https://app.example"')).default([]),
    {
      text: 'Further Origins that browsers may call from, besides loopback and that of `publicUrl`.',
      reload: 'live',
      reason: 'A web application on another origin is an MCP client.',
    },
  ),
  trustedProxies: doc(
    z.array(z.string().refine(isAddressRange, 'expected an address or a range such as "10.0.0.0/8"')).default([]),
    {
      text: 'Addresses or ranges whose `X-Forwarded-For` names the client. Nothing else of `X-Forwarded-*` is ever read.',
      reason: 'The load balancer, so that logs name clients.',
    },
  ),
  admin: z
    .strictObject({
      listen: doc(address.default('127.0.0.1:8081'), {
        text: 'Where operators connect: `/metrics`, `/livez`, `/readyz` of the whole pod, and the admin API (docs/admin-api.md). Off loopback it needs `admin.token`.',
        reason: '`0.0.0.0:8081` in a container, for probes and Prometheus.',
      }),
      token: doc(z.string().default(''), {
        text: 'Bearer token of the admin API; whoever has it may see and end every session. Empty: open to whoever reaches a loopback listener.',
        reload: 'live',
        reason: 'Required off loopback.',
        secret: true,
        short: 'BERTH_ADMIN_TOKEN',
      }),
      metricsToken: doc(z.string().default(''), {
        text: 'Bearer token of `/metrics`. Empty: open to whoever reaches the admin port.',
        reload: 'live',
        reason: 'Where others than Prometheus reach the admin port.',
        secret: true,
      }),
    })
    .prefault({}),
  workers: doc(
    z
      .union([z.literal('auto'), z.int().min(1).max(64)], { error: 'expected "auto" or a whole number from 1 to 64' })
      .default('auto'),
    {
      text: 'Worker processes: `auto` is the smallest of cores, CPU quota of the container, and 8.',
      reason: '1 or 2 in small pods; a number where the quota cannot be read.',
    },
  ),
  scheduling: doc(z.enum(['round-robin', 'os', 'reuse-port']).default('round-robin'), {
    text: 'Who gives a new connection to a worker. `round-robin`: the primary, to each in turn; what a dying worker had not taken goes to another. `os`: all workers wait at one socket, and whoever is first takes it: uneven. `reuse-port`: each worker has a socket of its own, among which the kernel divides: what waits at a worker that ends alone is reset. Needs Linux, FreeBSD, Solaris or AIX, and Node 22.12, 23.1 or later.',
    reason:
      'Many short connections: each is work for the primary too. With kept connections there is little to win (docs/operations.md).',
  }),
  dataDir: doc(z.string().min(1).default('.berth'), {
    text: 'Directory of the embedded Redis and the generated secret, relative to the configuration file. Nothing else is written outside the temporary directory.',
    reason: 'A volume, so that sessions outlive the container.',
  }),
  redis: z
    .strictObject({
      url: doc(z.string().regex(REDIS_URL, 'expected redis://HOST:PORT, rediss://…, sentinel://… or cluster://…').default(''), {
        text: 'The Redis that all pods share: `redis://user:password@host:6379/0`, `rediss://` for TLS; `sentinel:` and `cluster:` take a list of addresses. Empty: embedded, a redis-server of the gateway itself on a Unix socket. Needs `internal.secret`.',
        reason: 'More than one pod.',
        secret: true,
        short: 'BERTH_REDIS_URL',
      }),
      prefix: doc(
        z
          .string()
          .regex(/^[^{}\s]*$/, 'expected text without braces and spaces: braces would move keys to other slots')
          .default('berth:'),
        { text: 'Begins every key.', reason: 'Several gateways on one Redis.' },
      ),
      waitReplicas: doc(z.int().min(0).max(5).default(0), {
        text: 'How many replicas must confirm a claim or a renewal before it counts. Not with Cluster. With fewer replicas than that no session is served.',
        reason: '1 with Sentinel and two replicas, so that a failover loses no claim.',
      }),
      startTimeout: doc(duration('15s', { min: '100ms' }), {
        text: 'How long the start waits for Redis before it gives up (exit code 69).',
        reason: 'Raise it where Redis starts later than the gateway.',
      }),
    })
    .prefault({}),
  internal: z
    .strictObject({
      host: doc(z.string().min(1).default('127.0.0.1'), {
        text: 'The address under which other pods reach the workers of this one.',
        reason:
          'The address of the pod (Kubernetes: `BERTH_INTERNAL__HOST` from `status.podIP`). Unused with the embedded Redis.',
      }),
      port: doc(z.int().min(0).max(65_535).default(0), {
        text: 'First of 2 × workers ports for requests from other pods; 0: any free ports.',
        reason: 'A fixed range for a network policy.',
      }),
      secret: doc(z.string().default(''), {
        text: 'What all pods share: connections between them and secrets at rest are protected by keys derived from it. At least 16 characters. Empty with the embedded Redis: generated once, kept in `dataDir`.',
        reason: 'Required with `redis.url`; `openssl rand -hex 32` makes one.',
        secret: true,
        short: 'BERTH_SECRET',
      }),
      oldSecret: doc(z.string().default(''), {
        text: 'A former secret that is still accepted.',
        reason: 'While a new one is rolled out.',
        secret: true,
      }),
      lease: doc(duration('6s', { min: '300ms', max: '10m' }), {
        text: 'A worker that has not renewed its lease for so long is taken for dead; others take over its sessions.',
        reason: 'Lower: faster take-over from a dead pod. Higher: more patience with a slow Redis. The same in all pods.',
      }),
    })
    .prefault({}),
  sessions: z
    .strictObject({
      idleTimeout: doc(duration('2h', { min: '1s' }), {
        text: 'A session that nobody uses for so long ends; an open stream is use.',
        reason: 'Shorter where backends hold costly state per session.',
      }),
      releaseAfter: doc(duration('60s'), {
        text: 'A session that nobody uses for so long, without an open stream or a stdio or sse backend, is given up by its worker while another worker lives: whoever gets its next request goes on with it. Nothing is lost by it; `0s`: never.',
        reason:
          'Shorter: new pods get their share of the load sooner, and idle sessions take less memory. The next request of such a session asks Redis first.',
      }),
      max: doc(z.int().min(1).default(10_000), {
        text: 'Sessions in the whole cluster; beyond it initialize gets 503.',
        reload: 'live',
        reason: 'What the backends and the memory of the workers bear.',
      }),
      maxPerPrincipal: doc(z.int().min(1).default(100), {
        text: 'Sessions of one caller; beyond it initialize gets 429. Callers are told apart by authentication only: without it the total counts, unless this is set.',
        reload: 'live',
        reason: 'Raise it for a caller that serves many users.',
      }),
    })
    .prefault({}),
  limits,
  drain: z
    .strictObject({
      delay: doc(duration('0s'), {
        text: 'After SIGTERM: how long everything is still accepted before the listener closes.',
        reload: 'live',
        reason: '`8s` in Kubernetes, whose load balancing goes on sending for a while.',
      }),
      timeout: doc(duration('25s', { min: '100ms' }), {
        text: 'After that: how long requests in flight may take to end. No call that is shorter fails in a rolling deploy. Of a client that always has calls in flight, none fails that is shorter than half of this and than 0.8 × `limits.hold`.',
        reload: 'live',
        reason: 'The longest call, within the grace period of the platform (delay + timeout + 12 s).',
      }),
    })
    .prefault({}),
  auth,
  log: z
    .strictObject({
      level: doc(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'), {
        text: 'The least important lines that are written.',
        reload: 'live',
        reason: '`debug` to follow one request; `warn` for quiet.',
      }),
      format: doc(z.enum(['auto', 'json', 'pretty']).default('auto'), {
        text: '`json`, one object a line; `pretty`, for people; `auto`: pretty in a terminal, json elsewhere.',
        reason: '`json` when a terminal is recorded.',
      }),
    })
    .prefault({}),
  expose: z
    .strictObject({
      all: doc(z.boolean().default(true), {
        text: 'Whether `/mcp` serves all backends.',
        reload: 'live',
        reason: 'Switch it off where the filters of `servers` are a boundary.',
      }),
      backends: doc(z.boolean().default(true), {
        text: 'Whether `/servers/<backend>/mcp` serves each backend.',
        reload: 'live',
        reason: 'Switch it off where the filters of `servers` are a boundary.',
      }),
    })
    .prefault({}),
  mcpServers: doc(backends.default({}), {
    text: 'Backends by name, in the format of MCP clients: paste an existing file. Names: letters, digits, `_` and `-`, 32 at most.',
    reload: 'live',
  }),
  servers: doc(virtualServers.default({}), {
    text: 'Virtual servers by name, each at `/servers/<name>/mcp`: a selection of backends and their tools. Entries with `command` or `url` (VS Code) are backends.',
    reload: 'live',
  }),
});

/** The effective configuration: every default filled in. */
export type Config = z.output<typeof configSchema>;
export type BackendConfig = Config['mcpServers'][string];
export type HttpBackendConfig = Extract<BackendConfig, { type: 'http' }>;
export type SseBackendConfig = Extract<BackendConfig, { type: 'sse' }>;
export type StdioBackendConfig = Extract<BackendConfig, { type: 'stdio' }>;
export type ServerConfig = Config['servers'][string];
