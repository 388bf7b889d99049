// What the index of open ids tells the teardown: a backend that recycles ids must not have its new session ended for the old one.
import type { Directory } from '../directory/directory.js';
import { digestOfBackendSession } from '../protocol/ids.js';
import type { TeardownJob } from './job.js';
import type { SealedTarget } from './sealed-target.js';
import type { TeardownWorkerOptions } from './teardown-worker.js';

/** By where it is, not by name: the backend of a name may be another one by now, and issue the same ids. */
const digestOf = ({ backend }: TeardownJob, { id, url }: SealedTarget) => digestOfBackendSession(url ?? backend, id);

/** The teardown worker's questions, asked of the directory. */
export function openIdsOf(
  directory: Pick<Directory, 'findOpen' | 'forgetOpen'>,
): Required<Pick<TeardownWorkerOptions, 'isOpenElsewhere' | 'onOver'>> {
  const holderOf = ({ sessionRef, generation }: TeardownJob) => ({ ref: sessionRef, generation });
  return {
    async isOpenElsewhere(job, target) {
      const holder = await directory.findOpen(digestOf(job, target));
      // Its own entry is that of the session that ended. A later generation: the backend issued the id to the same session again.
      return holder !== undefined && (holder.ref !== job.sessionRef || holder.generation > job.generation);
    },
    // Lost, the entry goes with its TTL.
    onOver: (job, target) => directory.forgetOpen(digestOf(job, target), holderOf(job)).catch(() => undefined),
  };
}
