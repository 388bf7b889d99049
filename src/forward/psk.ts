// TLS with a pre-shared key: both ends prove that they hold the secret, once per connection; no certificates.
import { constants } from 'node:crypto';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import type { DerivedKey, Keyring } from '../secrets/keyring.js';

const COMMON = {
  // The one suite with forward secrecy and a PSK that OpenSSL 3 and Node 20 share; TLS 1.3 offers external PSKs only through the
  // resumption API, which Node does not have.
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  // Resumption skips the key: a secret that was taken away would go on to work.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

/** @param handshakeMs for how long a stranger may keep a socket open */
export function pskServerOptions(keyring: Keyring, handshakeMs: number): TlsOptions {
  return {
    ...COMMON,
    handshakeTimeout: handshakeMs,
    pskCallback: (_socket, identity) => keyring.psk.find((key) => key.id === identity)?.key ?? null,
  };
}

export function pskClientOptions(key: DerivedKey): ConnectionOptions {
  return {
    ...COMMON,
    pskCallback: () => ({ identity: key.id, psk: key.key }),
    // There is no certificate to look at: the handshake itself proved the key. On this connector alone.
    checkServerIdentity: () => undefined,
  };
}
