// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// The options of backends (`mcpServers`) and virtual servers (`servers`).
import { z } from 'zod';
import { whyNotForwarded, whyNotSet } from '../protocol/backend-headers.js';
import { doc } from './doc.js';
import { credentialOptions } from './schema-credentials.js';
import { duration } from './units.js';

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** @param whyNot says why a name is refused */
const headerName = (whyNot: (name: string) => string | undefined) =>
  z
    .string()
    .regex(TOKEN, 'expected a header name such as x-tenant')
    .check(({ value, issues }) => {
      const message = whyNot(value);
      if (message !== undefined) issues.push({ code: 'custom', message, input: value });
    });

const timeout = doc(duration('60s', { min: '10ms' }), {
  text: 'How long one request to this backend may take; then the caller gets -32011 and the backend a cancellation.',
  reason: 'Raise it for tools that work longer.',
});

const patterns = (fallback: string[]) => z.array(z.string().min(1)).default(fallback);

/** Of a backend: whoever serves it, these are all of its tools. */
const tools = z
  .strictObject({
    include: doc(patterns(['*']), {
      text: "The only tools of this backend that anybody sees, at whatever endpoint; `*` stands for any characters, `?` for one. Matched against the backend's own names. Lists of clients (`enabled_tools`, `includeTools` …) are read as this.",
      reason: 'A tool that must not be used at all; for a selection at one endpoint see `servers.<name>.tools`.',
    }),
    exclude: doc(patterns([]), {
      text: 'Tools of this backend that nobody sees; wins over `include`. What is not shown cannot be called. Lists of clients (`disabled_tools`, `excludeTools`, `disabledTools`) are read as this.',
    }),
  })
  .optional();

const stdioBackend = z.strictObject({
  type: doc(z.literal('stdio'), { text: 'A command that speaks MCP on stdin and stdout. May be left out.' }),
  command: doc(z.string().min(1, 'expected a command'), {
    text: 'The program, found on PATH. One process per session that uses it.',
  }),
  args: doc(z.array(z.string()).default([]), { text: 'Its arguments.' }),
  env: doc(z.record(z.string(), z.string()).default({}), {
    text: 'Its environment, besides HOME, LOGNAME, PATH, SHELL, TERM, USER, LANG, TZ, TMPDIR, proxy, CA and npm cache variables. Nothing else is inherited.',
    reason: 'Give it the credentials it needs, best as `${VAR}`.',
  }),
  cwd: doc(z.string().min(1).optional(), {
    text: 'Its working directory, relative to the configuration file. Default: that of the gateway.',
  }),
  timeout,
  tools,
  onStateLoss: doc(z.enum(['reinitialize', 'fail']).default('fail'), {
    text: 'When the process of a session is gone (it dies with its worker): `fail` ends the session with 404, `reinitialize` starts a new process and goes on.',
    reason: 'Choose `reinitialize` for a server that remembers nothing between calls.',
  }),
});

const url = z.url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' });

/** Of whatever is reached at a URL. */
const headers = {
  headers: doc(
    z.record(headerName(whyNotSet), z.string().regex(/^[^\r\n\0]*$/, 'a header value holds no line break')).default({}),
    {
      text: 'Headers of every request to it.',
      reason: 'Its credentials, best as `"Bearer ${TICKETS_TOKEN}"`.',
    },
  ),
  forwardHeaders: doc(z.array(headerName(whyNotForwarded).transform((name) => name.toLowerCase())).default([]), {
    text: 'Names of headers of the client that are passed on to it, from each request its own. Not passed on are those that carry the session or the framing (`mcp-*`, `host`, `content-*` …), that say where a request came from (`forwarded`, `x-forwarded-*`, `x-real-ip` …), `cookie` and `proxy-*`.',
    reason: 'For a tenant or a locale. A token meant for the gateway does not belong here.',
  }),
  ...credentialOptions,
};

const httpBackend = z.strictObject({
  type: doc(z.literal('http'), {
    text: 'An MCP server at a URL (Streamable HTTP). May be left out; `streamable-http` and `streamableHttp` mean the same.',
  }),
  url: doc(url, { text: 'Its endpoint, for example `https://tickets.example/mcp`.' }),
  ...headers,
  timeout,
  tools,
  onStateLoss: doc(z.enum(['reinitialize', 'fail']).default('reinitialize'), {
    text: 'When it has lost the session: `reinitialize` opens a new one and repeats the request that it refused, `fail` ends the client session with 404.',
    reason: 'Choose `fail` where a new backend session would silently lack what the client built up in the old one.',
  }),
  keepAlive: doc(
    duration('0s', { max: '24h' }).refine((ms) => ms === 0 || ms >= 1000, 'expected 0s or at least 1s'),
    {
      text: 'An open session at this backend that nobody uses gets a `ping` before it was idle for so long, as long as a worker holds its client session in memory (see `sessions.releaseAfter`). `0s`: none.',
      reason:
        'For a server that forgets idle sessions and whose sessions hold state: a little less than its limit. A ping does not keep the client session from its `idleTimeout`.',
    },
  ),
  lostSessionPattern: doc(z.string().min(1).refine(isPattern, 'expected a regular expression').optional(), {
    text: 'A regular expression: an answer 400 whose error message it matches means that the session is lost, besides the messages that are known to.',
    reason: 'For a server that words it in its own way.',
  }),
});

const sseBackend = z.strictObject({
  type: doc(z.literal('sse'), {
    text: 'An MCP server of protocol 2024-11-05 (HTTP+SSE): answers come on one event stream. Must be written out.',
    reason: 'For a server that has nothing newer; one that also speaks Streamable HTTP is better used as `http`.',
  }),
  url: doc(url, { text: 'Where its event stream is, for example `https://tickets.example/sse`.' }),
  ...headers,
  timeout,
  tools,
  onStateLoss: doc(z.enum(['reinitialize', 'fail']).default('reinitialize'), {
    text: 'When the stream of a session has ended (it ends with its worker too): `reinitialize` opens a new one at the next call, `fail` ends the client session with 404.',
    reason: 'Choose `fail` where a new backend session would silently lack what the client built up in the old one.',
  }),
});

function isPattern(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}

/** An entry that names no type is what its keys say. */
function withType(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null || 'type' in entry) return entry;
  if ('command' in entry) return { type: 'stdio', ...entry };
  return 'url' in entry ? { type: 'http', ...entry } : entry;
}

export const backends = z.record(
  z.string(),
  z.preprocess(withType, z.discriminatedUnion('type', [stdioBackend, httpBackend, sseBackend])),
);

export const virtualServers = z.record(
  z.string(),
  z.strictObject({
    backends: doc(z.array(z.string()).min(1, 'expected at least one backend'), { text: 'Names of backends from `mcpServers`.' }),
    tools: z
      .strictObject({
        include: doc(patterns(['*']), {
          text: "Tools that are shown; `*` stands for any characters. Matched against the backend's own name and `<backend>__<name>`.",
        }),
        exclude: doc(patterns([]), {
          text: 'Tools that are not shown; wins over `include`. What is not shown cannot be called.',
        }),
      })
      .prefault({}),
    prefix: doc(z.enum(['auto', 'always', 'never']).default('auto'), {
      text: 'Whether names become `<backend>__<name>`: `auto` only those that collide, `always`, or `never`.',
      reason: '`always` keeps names stable whatever is added later.',
    }),
  }),
);
