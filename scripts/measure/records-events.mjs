// What happens to all sessions of a worker at once, or to all of the cluster: periodic work, a reconnect, a lost lease, a death, sweeps.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { INITIALIZE } from './records-member.mjs';

const rest = (ms) => new Promise((wake) => setTimeout(wake, ms));
const AT_ONCE = 64;
const REST_MS = 10_000;
const SWEPT_WITHIN_MS = 120_000;

/** Runs `work` for `sessions` of them. @returns `{ what, sessions, seconds, commands, redisMicros, stallMs }`, the costs each */
async function weighEvent({ members, cost, say }, what, sessions, work) {
  const commandsOf = () => members.reduce((sum, { commands }) => sum + commands, 0);
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const before = { commands: commandsOf(), micros: await cost.cpuMicros(), ms: performance.now() };
  delays.enable();
  await work();
  delays.disable();
  const seconds = (performance.now() - before.ms) / 1000;
  say(what);
  return {
    what,
    sessions,
    seconds,
    commands: (commandsOf() - before.commands) / sessions,
    redisMicros: ((await cost.cpuMicros()) - before.micros) / sessions,
    stallMs: delays.max / 1e6,
  };
}

/** The loops over all sessions that a worker makes by the clock; the part that blocks it, and what they tell Redis. */
export async function measurePeriodic({ members: [owner], cost, say }) {
  const { table, directory, liveness, idleRelease } = owner;
  const sessions = [...table];
  const timed = (run) => {
    const startedAt = performance.now();
    run();
    return performance.now() - startedAt;
  };
  liveness.start();
  idleRelease.start();
  owner.tick();
  await rest(100);
  const quietMs = timed(() => owner.tick());
  // As with an open stream each: all of them are in use.
  for (const session of sessions) session.standalone = session.streams.standalone;
  const scanMs = timed(() => owner.lookForQuiet());
  const before = { commands: owner.commands, micros: await cost.cpuMicros() };
  const touched = new Promise((resolve, reject) => {
    const touch = directory.touchSessions.bind(directory);
    directory.touchSessions = (entries) => {
      directory.touchSessions = touch;
      return touch(entries).then(resolve, reject);
    };
  });
  const startedAt = performance.now();
  const usedMs = timed(() => owner.tick());
  await touched;
  const touchMs = performance.now() - startedAt;
  const [commands, micros] = [owner.commands - before.commands, (await cost.cpuMicros()) - before.micros];
  for (const session of sessions) session.standalone = undefined;
  liveness.stop();
  idleRelease.stop();
  const atRest = owner.commands;
  await rest(REST_MS);
  say('periodic work');
  const figures = { quietMs, scanMs, usedMs, touchMs, touchCommands: commands, touchMicros: micros };
  figures.commandsAtRest = ((owner.commands - atRest) / REST_MS) * 1000;
  return {
    ...{ sessions: sessions.length, ...figures },
    rows: [
      ['look at idle times, every 30 s: blocks its worker for', `${quietMs.toFixed(1)} ms`],
      ['the same with a stream open in each', `${usedMs.toFixed(1)} ms`],
      ['and tells Redis', `${commands} commands, ${(micros / 1000).toFixed(0)} ms of Redis, within ${touchMs.toFixed(0)} ms`],
      ['look for sessions to give up, every second, none found', `${scanMs.toFixed(1)} ms`],
      ['commands/s at rest (lease, queue)', figures.commandsAtRest.toFixed(1)],
    ],
  };
}

/** The connection to Redis was opened anew, to the same data. */
export function measureVerify(context) {
  const [{ reclaim, keeper, table }] = context.members;
  return weighEvent(context, 'verify after a reconnect', table.size, async () => {
    reclaim.distrust(keeper.guardEndMs);
    await reclaim.verify(Promise.resolve(true));
  });
}

/** The lease went with a moment of Redis' data: all are claimed back under a new incarnation. */
export async function measureLost(context) {
  const [owner] = context.members;
  const { keeper, table } = owner;
  const sessions = table.size;
  const lost = await weighEvent(context, 'claim back after a lost lease', sessions, async () => {
    const former = keeper.id;
    await context.cost.redis.del(`${context.prefix}worker:${former}`);
    while (keeper.id === former || !owner.keeper.isValid()) await rest(10);
    await rest(50);
    await owner.reclaiming;
  });
  return { ...lost, kept: owner.reclaimed?.kept ?? 0, dropped: owner.reclaimed?.dropped ?? 0 };
}

/** The last worker dies; nothing happens to its sessions but when a client asks. */
export async function measureDeath(context, samples) {
  const { members, known } = context;
  const [dead, heir] = [members.at(-1), members.at(-2)];
  await dead.keeper.stop();
  const living = members.slice(0, -1);
  const before = living.reduce((sum, { commands }) => sum + commands, 0);
  await rest(REST_MS);
  const commandsAtRest = ((living.reduce((sum, { commands }) => sum + commands, 0) - before) / REST_MS) * 1000;
  const orphans = known.at(-1);
  const wanted = orphans.splice(0, samples);
  const claims = await weighEvent(context, `take over, ${AT_ONCE} at once`, wanted.length, async () => {
    const waiting = [...wanted];
    const work = async () => {
      for (let one = waiting.pop(); one; one = waiting.pop()) await heir.claim(one);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  });
  return { sessions: orphans.length + wanted.length, commandsAtRest, claims };
}

/** The regular sweep as the product runs it, with nothing to do, and with so many of the dead worker's sessions expired. */
export async function measureSweeps(context, expired) {
  const { members, known, cost, prefix } = context;
  const [sweeper] = members;
  const before = { commands: sweeper.commands, ms: performance.now() };
  await sweeper.sweep.makeRoom();
  const idle = { commands: sweeper.commands - before.commands, ms: performance.now() - before.ms };
  const refs = known.at(-1).slice(0, expired);
  for (let from = 0; from < refs.length; from += 1000) {
    await cost.redis.zadd(`${prefix}expiry`, ...refs.slice(from, from + 1000).flatMap(({ ref }) => [1, ref]));
  }
  await cost.redis.del(`${prefix}sweep`);
  const tornDown = () => members.reduce((sum, member) => sum + member.tornDown, 0);
  const wanted = tornDown() + refs.length;
  const result = await weighEvent(context, 'expired, ended by the sweep, torn down', refs.length, async () => {
    sweeper.sweep.start();
    const deadline = performance.now() + SWEPT_WITHIN_MS;
    while (tornDown() < wanted && performance.now() < deadline) await rest(50);
  });
  const left = wanted - tornDown();
  if (left > 0) throw new Error(`${left} of ${refs.length} expired sessions were not ended within ${SWEPT_WITHIN_MS / 1000} s`);
  return { idle, expired: result, client: INITIALIZE.params.clientInfo };
}
