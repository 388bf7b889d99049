// Cursors of lists: opaque to callers, trusted by nobody.

import type { ListPosition } from '../directory/overview.js';
import { isSessionRef } from '../protocol/ids.js';
import { AdminError } from './admin-error.js';

export const encodePosition = ({ untilMs, ref }: ListPosition): string => encode([untilMs, ref]);

/** @throws AdminError BAD_CURSOR */
export function decodePosition(cursor: string | undefined): ListPosition | undefined {
  if (cursor === undefined) return undefined;
  const value = decode(cursor);
  const [untilMs, ref] = Array.isArray(value) ? value : [];
  if (typeof untilMs !== 'number' || !isSessionRef(ref)) throw new AdminError('BAD_CURSOR');
  return { untilMs, ref };
}

export const encodeOffset = (offset: number): string => encode(offset);

/** @throws AdminError BAD_CURSOR */
export function decodeOffset(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  const value = decode(cursor);
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new AdminError('BAD_CURSOR');
  return value;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function decode(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
}
