// A secret that something else writes into a file: read bounded, trimmed, and only from a regular file.
import { constants, open } from 'node:fs/promises';
import { MAX_TOKEN_LENGTH } from './credentials.js';

export type SmallFile =
  /** `mark` changes with the content: also when a symbolic link leads somewhere else, as Kubernetes does it. */
  | { readonly kind: 'read'; readonly text: string; readonly mark: string }
  | { readonly kind: 'same' }
  /** `why` is a word: an error code, `empty`, `too_large`, `no_file`. */
  | { readonly kind: 'unusable'; readonly why: string };

/** @param known the mark of what the caller has: then the content is not read again if it is the same file, unchanged */
export async function readSmallFile(path: string, known?: string): Promise<SmallFile> {
  try {
    // Non-blocking: to open a named pipe in its place would hold a thread of the pool for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const facts = await file.stat({ bigint: true });
      if (!facts.isFile()) return { kind: 'unusable', why: 'no_file' };
      const mark = `${facts.dev}.${facts.ino}.${facts.size}.${facts.mtimeNs}.${facts.ctimeNs}`;
      if (mark === known) return { kind: 'same' };
      const buffer = Buffer.alloc(MAX_TOKEN_LENGTH + 64);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      if (bytesRead === buffer.length) return { kind: 'unusable', why: 'too_large' };
      const text = buffer.toString('utf8', 0, bytesRead).trim();
      return text === '' ? { kind: 'unusable', why: 'empty' } : { kind: 'read', text, mark };
    } finally {
      await file.close();
    }
  } catch (error) {
    return { kind: 'unusable', why: (error as NodeJS.ErrnoException).code ?? 'failed' };
  }
}
