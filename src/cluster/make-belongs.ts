// Whether a backend session that a record holds was opened with the backend that its name stands for now.
import { placeOf, unsealBackendSession } from '../backends/http/sealed-session.js';
import type { BackendSessionRecord } from '../directory/directory.js';
import type { Keyring } from '../secrets/keyring.js';
import type { Session } from '../sessions/session.js';
import type { LiveConfig } from './live-config.js';

export function makeBelongs(live: LiveConfig, keyring: Keyring) {
  return ({ facts }: Session, name: string, record: BackendSessionRecord): boolean => {
    const backend = live.config.mcpServers[name];
    if (!backend) return false;
    if (record.transport !== backend.type) return false;
    // Of a channel nothing outlives its worker: whether it leads elsewhere now makes no difference.
    if (backend.type !== 'http') return true;
    const place = unsealBackendSession(keyring, facts.ref, name, record.sealed)?.url;
    // One that cannot be opened here is opened anew in its place.
    return place === undefined || place === placeOf(backend.url);
  };
}
