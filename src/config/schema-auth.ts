// The options of authentication (`auth`), and what an entry of `auth.keys` or of the keys file may look like.
import { z } from 'zod';
import { doc } from './doc.js';

const ID = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
/** While a key is replaced its old and its new one; more are a mistake. */
const MAX_KEYS_PER_ID = 4;

// The messages name no value: whoever mistakes the option puts the key itself there.
const sha256 = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'expected the SHA-256 of the key as 64 hex digits, not the key itself')
  .transform((text) => text.toLowerCase());

const keyEntry = z.preprocess(
  withParts,
  z.strictObject({
    id: z.string().regex(ID, 'expected a name of letters, digits and . _ @ -, 64 at most'),
    sha256: z.preprocess((value) => (Array.isArray(value) ? value : [value]), z.array(sha256).min(1).max(MAX_KEYS_PER_ID)),
  }),
);

/** The text form `alice:<sha256>`, as the environment variable has it. */
function withParts(entry: unknown): unknown {
  if (typeof entry !== 'string') return entry;
  const colon = entry.indexOf(':');
  return { id: entry.slice(0, Math.max(colon, 0)), sha256: entry.slice(colon + 1) };
}

/** `alice: <sha256>` by name means the same as a list. */
function listOfMap(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value).map(([id, digest]) => ({ id, sha256: digest }));
}

/** A list of `{ id, sha256 }`, a map of `id: sha256`, or a list of `id:sha256` texts. */
export const keyEntries = z.preprocess(listOfMap, z.array(keyEntry));

/** One caller: every digest is of a key of his. */
export type KeyEntry = z.output<typeof keyEntries>[number];

export const auth = z
  .strictObject({
    mode: doc(z.enum(['none', 'keys']).default('none'), {
      text: 'How callers are told apart: `none` serves whoever reaches `listen`; `keys` those who send one of the keys below. Off loopback it must be written out.',
      reason: 'Say `none` there only if a proxy or the network keeps strangers out.',
    }),
    keys: doc(keyEntries.default([]), {
      text: 'With `mode: keys`, who may come in: `{ id: alice, sha256: "<64 hex digits>" }`, where the digest is that of the key (`printf %s "$KEY" | sha256sum`), never the key itself. `sha256` may be a list while a key is replaced. In the environment: `alice:<digest>,bob:<digest>`.',
      reason: 'One entry for each caller: sessions and `sessions.maxPerPrincipal` belong to an id.',
    }),
    keysFile: doc(z.string().min(1).optional(), {
      text: 'A YAML or JSON file with further entries of that kind, or lines `id: sha256`; relative to the configuration file. It is read again within about two seconds of a change; a file that cannot be used changes nothing.',
      reason: 'To add and remove callers without a restart.',
    }),
  })
  .optional();
