// What happens to all sessions of a worker at once, or to all of the cluster: periodic work, a reconnect, a lost lease, a death, sweeps.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const rest = (ms) => new Promise((wake) => setTimeout(wake, ms));
const AT_ONCE = 64;
const REST_MS = 10_000;
const SWEPT_WITHIN_MS = 240_000;

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

/** The loops over all sessions that a worker makes by the clock. */
export async function measurePeriodic({ members: [owner], cost, say }) {
  const { table, liveness, idleRelease } = owner;
  const sessions = [...table];
  liveness.start();
  idleRelease.start();
  await look(owner, cost);
  // One is used, so that its telling says when the look is over.
  sessions.at(-1).lastUsedMs = Date.now();
  const quiet = await look(owner, cost);
  // As with an open stream each: all of them are in use.
  for (const session of sessions) session.standalone = session.streams.standalone;
  const used = await look(owner, cost);
  const scannedAt = performance.now();
  owner.lookForQuiet();
  const scanMs = performance.now() - scannedAt;
  for (const session of sessions) session.standalone = undefined;
  liveness.stop();
  idleRelease.stop();
  const commands = owner.commands;
  const micros = await cost.cpuMicros();
  await rest(REST_MS);
  say('periodic work');
  const atRest = ((owner.commands - commands) / REST_MS) * 1000;
  const redisAtRest = (((await cost.cpuMicros()) - micros) / REST_MS) * 1000;
  const text = ({ ms, cpuMs, stallMs }) =>
    `${ms.toFixed(0)} ms, ${cpuMs.toFixed(0)} ms of processor, longest stall ${stallMs.toFixed(1)} ms`;
  return {
    ...{ sessions: sessions.length, quiet, used, scanMs, commandsAtRest: atRest, redisMicrosAtRest: redisAtRest },
    rows: [
      ['look at idle times, every 30 s', text(quiet)],
      ['the same with a stream open in each, and tell Redis', text(used)],
      ['of it Redis', `${used.commands} commands, ${(used.redisMicros / 1000).toFixed(0)} ms`],
      ['look for sessions to give up, every second, none found: stall', `${scanMs.toFixed(1)} ms`],
      ['commands/s at rest (lease, queue)', atRest.toFixed(1)],
      ['µs of Redis a second at rest, all workers of this run', redisAtRest.toFixed(0)],
    ],
  };
}

/** One look of `liveness` at all sessions, until Redis knows of their uses. @returns `{ ms, cpuMs, stallMs, commands, redisMicros }` */
async function look(owner, cost) {
  const { directory } = owner;
  const touch = directory.touchSessions.bind(directory);
  const told = new Promise((resolve, reject) => {
    directory.touchSessions = (entries) => {
      delete directory.touchSessions;
      return touch(entries).then(resolve, reject);
    };
  });
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const before = { commands: owner.commands, micros: await cost.cpuMicros(), own: process.cpuUsage(), ms: performance.now() };
  delays.enable();
  owner.tick();
  await told;
  delays.disable();
  const own = process.cpuUsage(before.own);
  return {
    ms: performance.now() - before.ms,
    cpuMs: (own.user + own.system) / 1000,
    stallMs: delays.max / 1e6,
    commands: owner.commands - before.commands,
    redisMicros: (await cost.cpuMicros()) - before.micros,
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
  return { idle, expired: result, left: wanted - tornDown() };
}
