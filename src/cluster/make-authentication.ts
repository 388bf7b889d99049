// Who may come in, as the configuration says it.
import { authenticateByKeys } from '../auth/authenticate-keys.js';
import { KeysFile } from '../auth/keys-file.js';
import { KnownKeys } from '../auth/known-keys.js';
import { ANONYMOUS, type Authenticate, type Caller } from '../auth/principals.js';
import type { Principal } from '../streams/exchange.js';
import type { WorkerBase } from './worker-base.js';

export interface Authentication {
  readonly authenticate: Authenticate;
  /** Nobody has to prove anything. */
  readonly isOpen: boolean;
  /** One listener: told after every change, with who is known from now on. */
  onKeysChanged(listener: (knows: (principal: Principal) => boolean) => void): void;
  stop(): void;
}

export async function makeAuthentication({
  config,
  clock,
  log,
}: Pick<WorkerBase, 'config' | 'clock' | 'log'>): Promise<Authentication> {
  const { auth } = config;
  if (auth?.mode !== 'keys') {
    const caller: Caller = { principal: ANONYMOUS, consumed: [] };
    return { authenticate: () => caller, isOpen: true, onKeysChanged: () => undefined, stop: () => undefined };
  }
  const keys = new KnownKeys(auth.keys);
  let changed: (knows: (principal: Principal) => boolean) => void = () => undefined;
  const file =
    auth.keysFile === undefined
      ? undefined
      : new KeysFile({
          file: auth.keysFile,
          fixed: auth.keys,
          clock,
          onRead: (entries) => {
            keys.replace(entries);
            log.info({ callers: entries.map(({ id }) => id) }, 'the keys file was read');
            changed((principal) => keys.knows(principal));
          },
          onBad: (reason) => log.warn({ file: auth.keysFile, reason }, 'the keys file cannot be used: nothing changes'),
        });
  // A worker that begins while the file is bad knows none of its keys: what an earlier one knew may have been taken out since.
  await file?.start();
  return {
    authenticate: authenticateByKeys(keys),
    isOpen: false,
    onKeysChanged(listener) {
      changed = listener;
    },
    stop: () => file?.stop(),
  };
}
