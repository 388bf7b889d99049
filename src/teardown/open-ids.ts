// What the index of open ids tells the teardown: a backend that recycles ids must not have its new session ended for the old one.
import type { Directory } from '../directory/directory.js';
import { digestOfBackendSession } from '../protocol/ids.js';
import type { TeardownJob } from './job.js';
import type { TeardownWorkerOptions } from './teardown-worker.js';

/** The teardown worker's questions, asked of the directory. */
export function openIdsOf(
  directory: Pick<Directory, 'findOpen' | 'forgetOpen'>,
): Required<Pick<TeardownWorkerOptions, 'isOpenElsewhere' | 'onOver'>> {
  const holderOf = ({ sessionRef, generation }: TeardownJob) => ({ ref: sessionRef, generation });
  return {
    async isOpenElsewhere(job, id) {
      const holder = await directory.findOpen(digestOfBackendSession(job.backend, id));
      // Its own entry is that of the session that ended. A later generation: the backend issued the id to the same session again.
      return holder !== undefined && (holder.ref !== job.sessionRef || holder.generation > job.generation);
    },
    // Lost, the entry goes with its TTL.
    onOver: (job, id) => directory.forgetOpen(digestOfBackendSession(job.backend, id), holderOf(job)).catch(() => undefined),
  };
}
