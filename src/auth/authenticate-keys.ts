// `auth.mode: keys`: which header decides, and what who may not come in is told.
import { GatewayError } from '../errors/gateway-error.js';
import type { KnownKeys } from './known-keys.js';
import type { Authenticate, Caller } from './principals.js';

const CHALLENGE = 'Bearer realm="berth"';
const WRONG = `${CHALLENGE}, error="invalid_token"`;
const BEARER = /^bearer(?: +(.*))?$/i;

/**
 * One rule (docs/auth.md): `Authorization: Bearer` decides wherever it is sent, alone; another scheme is none of ours, and
 * `x-api-key` decides. A request with a wrong bearer is refused although its `x-api-key` may be right: else a proxy that adds one of
 * the two would choose who the caller is.
 */
export function authenticateByKeys(keys: KnownKeys): Authenticate {
  return (headers, connection) => {
    const { authorization, 'x-api-key': apiKey } = headers;
    const { shown } = connection;
    if (shown && shown.known === keys.known && shown.authorization === authorization && shown.apiKey === apiKey)
      return shown.caller;
    const caller = judge(keys, headers);
    connection.shown = { authorization: authorization as string | undefined, apiKey, known: keys.known, caller };
    return caller;
  };
}

function judge(keys: KnownKeys, { authorization, 'x-api-key': apiKey }: Parameters<Authenticate>[0]): Caller {
  const bearer = typeof authorization === 'string' ? BEARER.exec(authorization) : null;
  if (bearer) {
    const principal = keys.find(bearer[1] ?? '');
    if (!principal) throw wrong('authorization');
    // The same key may stand in both: it is meant for us there, too.
    return typeof apiKey === 'string' && keys.find(apiKey)
      ? { principal, consumed: ['authorization', 'x-api-key'] }
      : { principal, consumed: ['authorization'] };
  }
  if (apiKey === undefined) {
    throw new GatewayError('UNAUTHENTICATED', {
      message: 'this gateway needs a key, as "Authorization: Bearer <key>" or "x-api-key: <key>"',
      details: { reason: 'no_key' },
      challenge: CHALLENGE,
    });
  }
  const principal = typeof apiKey === 'string' ? keys.find(apiKey) : undefined;
  if (!principal) throw wrong('x-api-key');
  return { principal, consumed: ['x-api-key'] };
}

function wrong(header: string): GatewayError {
  return new GatewayError('UNAUTHENTICATED', {
    message: `the key in ${header} is not accepted here: ask the operator for one, or send the current one`,
    details: { reason: 'wrong_key' },
    challenge: WRONG,
  });
}
