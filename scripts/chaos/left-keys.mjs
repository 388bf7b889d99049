// Keys that should be gone when every session has ended: records, members of the indexes, jobs.
import { Redis } from 'ioredis';

const WITHIN_MS = 30_000;
/** BullMQ's lists and sets of jobs that are not done. */
const OPEN_JOBS = ['wait', 'active', 'delayed', 'failed', 'paused', 'prioritized'];

/**
 * @param lostOpenings sessions whose id no client ever learned: they stay until they idle out
 * @returns what is left after a while, as text; [] when nothing is
 */
export async function findLeftKeys({ url, prefix, lostOpenings }) {
  const redis = new Redis(url);
  const deadline = performance.now() + WITHIN_MS;
  try {
    for (;;) {
      const left = await look(redis, prefix, lostOpenings);
      if (left.length === 0 || performance.now() > deadline) return left;
      await new Promise((wake) => setTimeout(wake, 500));
    }
  } finally {
    redis.disconnect();
  }
}

async function look(redis, prefix, lostOpenings) {
  const left = [];
  const records = await redis.keys(`${prefix}{*}:session`);
  if (records.length > lostOpenings)
    left.push(`${records.length} records, ${lostOpenings} openings were lost: ${records.slice(0, 3)}`);
  for (const record of records) {
    // Closed, and nobody goes on with it: only the idle limit would find it.
    if ((await redis.hget(record, 'state')) === 'closing') left.push(`a record that stays closing: ${record}`);
  }
  const ending = await redis.zcard(`${prefix}ending`);
  if (ending > 0) left.push(`${ending} sessions in ending`);
  // Members without a record are the sweep's to remove, once a minute; they are bounded by the same count.
  for (const name of OPEN_JOBS) {
    const key = `{${prefix}teardown}:jobs:${name}`;
    const type = await redis.type(key);
    const count = type === 'list' ? await redis.llen(key) : type === 'zset' ? await redis.zcard(key) : 0;
    if (count > 0) left.push(`${count} teardown jobs are ${name}`);
  }
  return left;
}
