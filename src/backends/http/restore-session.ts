// Goes on with the backend session that a record tells of, without initialize.
import type { BackendSessionRecord } from '../../directory/directory.js';
import { makeOpenState, type OpenState } from './open-state.js';
import { unsealBackendSession } from './sealed-session.js';
import type { HttpTransport } from './transport.js';

/** @returns undefined if the record cannot be unsealed: then a session is opened anew */
export function restoreSession(
  transport: HttpTransport,
  sessionRef: string,
  record: BackendSessionRecord,
): OpenState | undefined {
  const sealed = unsealBackendSession(transport.keyring, sessionRef, transport.name, record.sealed);
  if (!sealed) return undefined;
  const info = { protocolVersion: record.protocolVersion, capabilities: record.capabilities };
  transport.lastInfo ??= info;
  // Configured headers may have changed since: the ones in force win over those that were sealed.
  const headers = { ...sealed.headers, ...transport.plan.fixed };
  return makeOpenState(record, sealed.id, headers, transport.plan.fixed, info);
}
