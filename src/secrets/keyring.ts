// Keys derived from the one secret, by purpose. The secret itself is kept nowhere else. A new secret is accepted everywhere
// (as oldSecret's successor) before it is used: both are held, the newest seals and dials, either opens.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

/** A key of one purpose, with the id by which its reader finds it. */
export interface DerivedKey {
  /** 8 characters, derived from the secret: names it without telling it. */
  readonly id: string;
  readonly key: Buffer;
}

export interface Keyring {
  /** For sealing at rest (AES-256-GCM), current first. */
  readonly seal: readonly DerivedKey[];
  /** For TLS-PSK between hosts, current first. */
  readonly psk: readonly DerivedKey[];
}

function derive(secret: string, purpose: string): DerivedKey {
  const bytes = (info: string, length: number) => Buffer.from(hkdfSync('sha256', secret, 'berth', info, length));
  return {
    id: createHash('sha256')
      .update(bytes(`${purpose} id`, 32))
      .digest('hex')
      .slice(0, 8),
    key: bytes(purpose, 32),
  };
}

/** @param secrets the current one first, then an old one that is still accepted */
export function makeKeyring(secrets: readonly string[]): Keyring {
  return { seal: secrets.map((s) => derive(s, 'seal v1')), psk: secrets.map((s) => derive(s, 'psk v1')) };
}

/** Seals text for Redis: `<key id>.<base64url of nonce, tag, ciphertext>`. `context` is authenticated: the same must open it. */
export function seal(keyring: Keyring, text: string, context: string): string {
  const current = keyring.seal[0];
  if (!current) throw new Error('keyring is empty');
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', current.key, nonce).setAAD(Buffer.from(context));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return `${current.id}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')}`;
}

/** Opens what `seal` made; undefined if it is not ours, was altered, or belongs to another context. */
export function unseal(keyring: Keyring, sealed: string, context: string): string | undefined {
  const [id, body, ...more] = sealed.split('.');
  const key = keyring.seal.find((k) => k.id === id);
  if (!key || !body || more.length > 0 || !/^[A-Za-z0-9_-]{38,}$/.test(body)) return undefined;
  const bytes = Buffer.from(body, 'base64url');
  // One text has one spelling: whoever remembers what was used already compares texts.
  if (bytes.toString('base64url') !== body) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.key, bytes.subarray(0, 12)).setAAD(Buffer.from(context));
    decipher.setAuthTag(bytes.subarray(12, 28));
    return decipher.update(bytes.subarray(28), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return undefined;
  }
}
