// Names and versions of the Model Context Protocol that the gateway itself has to know.

/** Legacy revisions, newest first. */
export const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;
export const LATEST_LEGACY_VERSION = LEGACY_VERSIONS[0];
/** What a client speaks that sends no version header and no session tells more (2025-06-18, "Protocol Version Header"). */
export const ASSUMED_VERSION = '2025-03-26';

export function isLegacyVersion(text: unknown): text is (typeof LEGACY_VERSIONS)[number] {
  return typeof text === 'string' && (LEGACY_VERSIONS as readonly string[]).includes(text);
}

/** In `params._meta` of a request: the revision that it claims for itself, from 2026-07-28 on. */
export const MODERN_VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

export const SESSION_HEADER = 'mcp-session-id';
export const VERSION_HEADER = 'mcp-protocol-version';
export const LAST_EVENT_ID_HEADER = 'last-event-id';

/** Marks the hop; believed on the internal listener only, dropped at the public edge. */
export const FORWARDED_HEADER = 'x-forwarded-internally';
/** Prefix of every other internal header; dropped at the public edge likewise. */
export const INTERNAL_HEADER_PREFIX = 'x-berth-';
/** On a 421 of our own: says that the refusal is a worker's and not a backend's; value `<owner> <epoch>` or `-`. */
export const REFUSED_HEADER = 'x-berth-refused';
/** Its value where the named owner was asked while its lease was away: the same pair may be asked again. */
export const REFUSED_FOR_NOW = 'later';

export const PROGRESS = 'notifications/progress';

/** Methods a client may send, for the metric label; anything else is `other`. */
export const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
  'notifications/initialized',
  'notifications/cancelled',
  PROGRESS,
  'notifications/roots/list_changed',
]);

export interface Implementation {
  readonly name: string;
  readonly version: string;
  readonly [key: string]: unknown;
}

export type Capabilities = Readonly<Record<string, unknown>>;
