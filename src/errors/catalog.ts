// Every error a caller can see: HTTP status, JSON-RPC code, whose fault, and whether it may be tried again.
// docs/errors.md is made from this file.

export interface CatalogEntry {
  readonly status: number;
  readonly rpcCode: number;
  readonly source: 'client' | 'gateway' | 'worker' | 'backend' | 'redis';
  /** never: the same request fails again, or it may have run; safe: it was not begun; after: it was not begun, try after Retry-After. */
  readonly retry: 'never' | 'safe' | 'after';
  readonly message: string;
  /** What whoever sees it should do. */
  readonly remedy: string;
}

const entries = {
  PARSE_ERROR: [400, -32700, 'client', 'never', 'Parse error: the body is not JSON', 'Send one JSON-RPC message as UTF-8 JSON.'],
  INVALID_REQUEST: [
    400,
    -32600,
    'client',
    'never',
    'Invalid Request: not a JSON-RPC 2.0 message',
    'Send jsonrpc "2.0", a string method, and an id that is a string or a number.',
  ],
  BATCH_UNSUPPORTED: [
    400,
    -32600,
    'client',
    'never',
    'Invalid Request: batches are not supported in this protocol version',
    'Send each message in a request of its own.',
  ],
  BATCH_INVALID: [
    400,
    -32600,
    'client',
    'never',
    'Invalid Request: not a batch that can be taken',
    'Send 1 to 100 messages of 2025-03-26 in an array, or each in a request of its own.',
  ],
  INVALID_PARAMS: [400, -32602, 'client', 'never', 'Invalid params', 'Send params as an object.'],
  SESSION_HEADER_MISSING: [
    400,
    -32000,
    'client',
    'never',
    'Bad Request: Mcp-Session-Id header is required',
    'Send initialize first, then the Mcp-Session-Id that its answer carried.',
  ],
  SESSION_NOT_FOUND: [
    404,
    -32001,
    'client',
    'never',
    'Session not found',
    'Send a new initialize without a session id. With `data.executed: "unknown"` the call was running when its session ended: find out whether it ran before you repeat it.',
  ],
  SERVER_NOT_FOUND: [404, -32000, 'client', 'never', 'Not found: no server at this path', 'Check the URL against `berth check`.'],
  METHOD_NOT_ALLOWED: [405, -32000, 'client', 'never', 'Method not allowed', 'Use GET, POST or DELETE.'],
  VERSION_UNSUPPORTED: [
    400,
    -32000,
    'client',
    'never',
    'Bad Request: unsupported MCP-Protocol-Version',
    'Send the version that initialize negotiated.',
  ],
  NOT_ACCEPTABLE: [
    406,
    -32000,
    'client',
    'never',
    'Not Acceptable',
    'Send Accept: application/json, text/event-stream (GET: text/event-stream).',
  ],
  UNSUPPORTED_MEDIA_TYPE: [
    415,
    -32000,
    'client',
    'never',
    'Unsupported Media Type: Content-Type must be application/json',
    'Send Content-Type: application/json.',
  ],
  BODY_TOO_LARGE: [413, -32000, 'client', 'never', 'Content Too Large', 'Send less, or raise limits.body.'],
  HOST_FORBIDDEN: [
    403,
    -32000,
    'client',
    'never',
    'Forbidden: this Host is not served here',
    'Set publicUrl or hosts to the name that clients use.',
  ],
  ORIGIN_FORBIDDEN: [403, -32000, 'client', 'never', 'Forbidden: this Origin is not allowed', 'Add the origin to origins.'],
  UNAUTHENTICATED: [401, -32000, 'client', 'never', 'Unauthorized', 'Send a key that is accepted: docs/auth.md.'],
  ANSWER_UNKNOWN: [
    400,
    -32600,
    'client',
    'never',
    'Invalid Request: no request with this id was sent in this session',
    'Answer a request of the server with the id that it came with, in the session it came in.',
  ],
  PRINCIPAL_CAP: [
    429,
    -32000,
    'client',
    'after',
    'Too many sessions for this caller',
    'End sessions with DELETE, or raise sessions.maxPerPrincipal.',
  ],
  SESSION_CAP: [503, -32000, 'gateway', 'after', 'Too many sessions', 'Try again later, or raise sessions.max.'],
  OVERLOADED: [
    503,
    -32000,
    'gateway',
    'after',
    'The gateway is overloaded',
    'Try again; nothing was executed. Which limit was reached: data.reason, docs/limits.md#overload.',
  ],
  PRINCIPAL_BUSY: [
    429,
    -32000,
    'client',
    'after',
    'Too many requests of this caller at the same time',
    'Wait for answers before you send more, or raise limits.requestsPerPrincipal; nothing was executed.',
  ],
  HELD_TOO_LONG: [
    503,
    -32000,
    'redis',
    'after',
    'The owner of this session cannot be reached or known yet',
    'Try again; nothing was executed.',
  ],
  HOLD_FULL: [503, -32000, 'gateway', 'after', 'Too many requests wait for an owner', 'Try again; nothing was executed.'],
  NO_WORKER: [503, -32000, 'worker', 'after', 'No worker can take this request', 'Try again; nothing was executed.'],
  NOT_OWNER: [
    421,
    -32000,
    'worker',
    'safe',
    'Misdirected: this worker does not own the session',
    'Internal: the forwarder reads the record again.',
  ],
  METHOD_NOT_FOUND: [200, -32601, 'client', 'never', 'Method not found', 'Use a method that the server declared at initialize.'],
  TOOL_NOT_FOUND: [200, -32602, 'client', 'never', 'Unknown tool', 'Call a tool that tools/list shows.'],
  PROMPT_NOT_FOUND: [200, -32602, 'client', 'never', 'Unknown prompt', 'Get a prompt that prompts/list shows.'],
  RESOURCE_NOT_FOUND: [
    200,
    -32002,
    'client',
    'never',
    'Resource not found',
    'Read a resource that resources/list shows or a template describes.',
  ],
  SUBSCRIPTIONS_FULL: [
    200,
    -32000,
    'client',
    'never',
    'Too many resource subscriptions in this session',
    'Unsubscribe from resources that are not needed.',
  ],
  BAD_ARGUMENT: [200, -32602, 'client', 'never', 'Invalid params', 'Correct the named parameter.'],
  REQUEST_CANCELLED: [
    200,
    -32800,
    'client',
    'never',
    'Request cancelled',
    'Nothing: its caller took it back with notifications/cancelled, and waits for JSON (alone, or the array of a batch), which cannot end without an answer.',
  ],
  BACKEND_UNAVAILABLE: [
    200,
    -32010,
    'backend',
    'safe',
    'Backend unavailable',
    'Look up data.reason in docs/backends.md; the call was not executed.',
  ],
  BACKEND_TIMEOUT: [
    200,
    -32011,
    'backend',
    'never',
    'Backend timed out',
    'Raise the timeout of the backend, or look why it is slow.',
  ],
  OUTCOME_UNKNOWN: [
    200,
    -32012,
    'backend',
    'never',
    'Outcome unknown: the call may have run',
    'Find out whether it ran before you repeat it.',
  ],
  INTERNAL: [500, -32603, 'gateway', 'never', 'Internal error', 'Look for the correlation id in the log.'],
} as const satisfies Record<string, readonly [number, number, CatalogEntry['source'], CatalogEntry['retry'], string, string]>;

export type ErrorCode = keyof typeof entries;

export const CATALOG: Readonly<Record<ErrorCode, CatalogEntry>> = Object.fromEntries(
  Object.entries(entries).map(([code, [status, rpcCode, source, retry, message, remedy]]) => [
    code,
    { status, rpcCode, source, retry, message, remedy },
  ]),
) as Record<ErrorCode, CatalogEntry>;
