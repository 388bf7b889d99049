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
  onStateLoss: doc(z.enum(['reinitialize', 'fail']).default('fail'), {
    text: 'When the process of a session is gone (it dies with its worker): `fail` ends the session with 404, `reinitialize` starts a new process and goes on.',
    reason: 'Choose `reinitialize` for a server that remembers nothing between calls.',
  }),
});

const httpBackend = z.strictObject({
  type: doc(z.literal('http'), {
    text: 'An MCP server at a URL (Streamable HTTP). May be left out; `streamable-http` and `streamableHttp` mean the same.',
  }),
  url: doc(z.url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' }), {
    text: 'Its endpoint, for example `https://tickets.example/mcp`.',
  }),
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
  timeout,
  onStateLoss: doc(z.enum(['reinitialize', 'fail']).default('reinitialize'), {
    text: 'When it has lost the session: `reinitialize` opens a new one and repeats the request that it refused, `fail` ends the client session with 404.',
    reason: 'Choose `fail` where a new backend session would silently lack what the client built up in the old one.',
  }),
  lostSessionPattern: doc(z.string().min(1).refine(isPattern, 'expected a regular expression').optional(), {
    text: 'A regular expression: an answer 400 whose error message it matches means that the session is lost, besides the messages that are known to.',
    reason: 'For a server that words it in its own way.',
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

export const backends = z.record(z.string(), z.preprocess(withType, z.discriminatedUnion('type', [stdioBackend, httpBackend])));

const patterns = (fallback: string[]) => z.array(z.string().min(1)).default(fallback);

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
