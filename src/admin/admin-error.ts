// What the admin port refuses and why, each with what to do about it. `{ error: { code, message } }` is the body of every refusal.

const errors = {
  BAD_REQUEST: [400, 'Bad request'],
  BAD_QUERY: [400, 'A query parameter is not understood'],
  BAD_CURSOR: [400, 'This cursor is none of ours. Begin the list anew, without one'],
  UNAUTHENTICATED: [401, 'Send the token as Authorization: Bearer'],
  HOST_FORBIDDEN: [403, 'This Host is not served here: set publicUrl or hosts to the name that is used'],
  ORIGIN_FORBIDDEN: [403, 'This Origin is not allowed: add it to origins'],
  NOT_FOUND: [404, 'There is nothing at this path. The dashboard is at /; see also /api, /metrics, /livez and /readyz'],
  SESSION_UNKNOWN: [
    404,
    'There is no such session, or it has ended. `berth sessions` (GET /api/sessions) lists the references of those that live',
  ],
  TEARDOWN_UNKNOWN: [404, 'There is no such teardown, or it was done. GET /api/teardowns lists the dead letters'],
  METHOD_NOT_ALLOWED: [405, 'This method is not allowed here'],
  TEARDOWN_BUSY: [409, 'A worker runs this teardown just now. Look again when it has ended'],
  TEARDOWN_NOT_FAILED: [409, 'This teardown was not given up: it is tried again by itself'],
  BODY_UNWANTED: [413, 'Nothing here takes a body: parameters stand in the path and the query'],
  INTERNAL: [500, 'Internal error. The log of the gateway says more'],
  RECORD_UNREADABLE: [500, 'The record of this session cannot be read. It ends with its idle time'],
  REDIS_AWAY: [503, 'Redis does not answer, or its data is being restored. Try again when it is back'],
  OWNER_UNKNOWN: [503, 'Who owns this session cannot be known now. Try again'],
  NO_WORKER: [503, 'No worker of this pod answers. Look at /readyz and the log, or ask another pod'],
  TOO_BUSY: [503, 'Too many requests to the admin API are under way. Try again'],
} as const satisfies Record<string, readonly [number, string]>;

export type AdminErrorCode = keyof typeof errors;

/** For the docs and their test. */
export const ADMIN_ERRORS: Readonly<Record<AdminErrorCode, readonly [status: number, message: string]>> = errors;

/** An answer that is an error: everything in it the caller may know. */
export class AdminError extends Error {
  readonly status: number;

  /** @param message instead of the usual one */
  constructor(
    readonly code: AdminErrorCode,
    message: string = errors[code][1],
  ) {
    super(message);
    this.name = 'AdminError';
    this.status = errors[code][0];
  }

  get body(): { readonly error: { readonly code: string; readonly message: string } } {
    return { error: { code: this.code, message: this.message } };
  }
}
