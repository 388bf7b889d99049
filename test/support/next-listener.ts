// After the death of an owner: who listens at the backend in its place.
import type { Cluster, Ownership } from './cluster.js';
import type { StrictBackend } from './strict-backend.js';
import { waitFor } from './wait-for.js';

/** @returns the next owner, once it listens in this backend session */
export function nextListener(
  cluster: Cluster,
  sessionId: string,
  before: Ownership,
  backend: StrictBackend,
  backendSession: string,
): Promise<Ownership> {
  return waitFor(
    () =>
      `an owner of session ${sessionId.slice(0, 4)} after worker ${before.pid} of epoch ${before.epoch} to listen at the backend`,
    async () => {
      const now = await cluster.ownerOf(sessionId);
      return now.epoch > before.epoch && backend.streams.has(backendSession) && now;
    },
  );
}
