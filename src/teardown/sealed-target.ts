// What a job seals: the id of the backend session and the headers that initialized it.
import { isObject } from '../protocol/json-rpc.js';
import { type Keyring, unseal } from '../secrets/keyring.js';
import type { Headers } from '../streams/exchange.js';
import type { TeardownJob } from './job.js';

export interface SealedTarget {
  /** '' if the backend issued none. */
  readonly id: string;
  readonly headers: Headers;
  /** Where it was opened. Undefined: where its backend is configured to be. */
  readonly url: string | undefined;
}

/** @returns undefined if it cannot be opened here: altered, or its key is not (or no longer) ours */
export function openSealed(
  keyring: Keyring,
  job: Pick<TeardownJob, 'sealed' | 'sessionRef' | 'backend'>,
): SealedTarget | undefined {
  const text = unseal(keyring, job.sealed, `${job.sessionRef}/${job.backend}`);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  return {
    id: typeof value.id === 'string' ? value.id : '',
    headers: isObject(value.headers) ? (value.headers as Headers) : {},
    url: typeof value.url === 'string' ? value.url : undefined,
  };
}
