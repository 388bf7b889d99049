// The steps of a session's life, one after the other: how long each takes, what it sends and what it costs Redis.

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];

/**
 * Each for as many sessions, one at a time, in this order: what one leaves is what the next one needs. At the end they are gone again.
 * `settle`: what goes on behind the answer belongs to the step.
 */
export const OPERATIONS = {
  'open (initialize)': { run: async ({ owner, sessions, at }) => void sessions.push(await owner.open(at)) },
  'save a backend session (first call)': { run: async ({ owner, session }) => void (await owner.use(session)) },
  'find the owner (forward, not remembered)': {
    run: async ({ owner, other, session }) => {
      await other.directory.readSession(session.facts.ref);
      await other.directory.readLease(owner.keeper.id);
    },
  },
  'renew a lease': { run: async ({ owner, lease }) => void (await owner.directory.renewLease(lease, 6000)) },
  'give up an idle session': { run: ({ owner, session }) => owner.releaser.release([session]) },
  'claim it again (next request)': {
    run: async ({ other, session, claimed }) => void claimed.push(await other.claim(session.facts)),
  },
  'end (DELETE, teardown included)': {
    run: ({ other, claimed, i }) => other.ender.end(claimed[i], 'deleted'),
    settle: ({ other }) => other.ender.settle(60_000),
    isTornDown: true,
  },
};

/** @returns by operation `{ p50, p99, commands, workerMicros, redisMicros }`; the size is the same before and after */
export async function measureOperations({ members, cost, samples }) {
  const [owner, other] = [members[1], members[2 % members.length]];
  const sessions = [];
  const claimed = [];
  const lease = await owner.directory.readLease(owner.keeper.id);
  const results = {};
  const commandsOf = () => members.reduce((sum, { commands }) => sum + commands, 0);
  for (const [name, { run, settle, isTornDown }] of Object.entries(OPERATIONS)) {
    const times = [];
    const tornDown = members.reduce((sum, member) => sum + member.tornDown, 0);
    const before = { commands: commandsOf(), micros: await cost.cpuMicros(), own: process.cpuUsage() };
    for (let i = 0; i < samples; i++) {
      const startedAt = performance.now();
      await run({ owner, other, sessions, claimed, session: sessions[i], lease, at: 1e9 + i, i });
      times.push(performance.now() - startedAt);
    }
    await settle?.({ other });
    while (isTornDown && members.reduce((sum, member) => sum + member.tornDown, 0) < tornDown + samples) {
      await new Promise((wake) => setTimeout(wake, 10));
    }
    const own = process.cpuUsage(before.own);
    times.sort((a, b) => a - b);
    results[name] = {
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      commands: (commandsOf() - before.commands) / samples,
      workerMicros: (own.user + own.system) / samples,
      redisMicros: ((await cost.cpuMicros()) - before.micros) / samples,
    };
  }
  return results;
}
