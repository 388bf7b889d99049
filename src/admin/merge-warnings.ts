// What the workers find odd about one virtual server.
import { isObject } from '../protocol/json-rpc.js';
import type { WorkerStatus } from './worker-status.js';

/**
 * Only what all those find that know the lists of all its backends: one of them may have clients that are shown more tools.
 * @returns sentences, none twice
 */
export function mergeWarnings(serverId: string, statuses: readonly WorkerStatus[]): string[] {
  const known = statuses.flatMap(({ warnings }) =>
    isObject(warnings) && Object.hasOwn(warnings, serverId) ? [warnings[serverId] ?? []] : [],
  );
  const [first = [], ...others] = known;
  const found = first.filter(({ about }) => others.every((other) => other.some((one) => one.about === about)));
  return [...new Set(found.map(({ text }) => text))];
}
