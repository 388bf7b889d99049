// npm run guard: a coarse look at what a request costs, for CI. The subjects and the load of the bench, few requests, CPU instead of time:
// it notices when a request becomes twice as dear, and nothing finer. Rounds go on until the bounds are kept, or there were too many.
// Exit code 0: kept. 1: not. Run: npm run guard [-- --build DIR], to look at another built working copy.
import { resolve as resolvePath } from 'node:path';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { judgeRounds } from './guard-verdict.mjs';
import { countCommands } from './load.mjs';
import { startLoad } from './load-client.mjs';
import { pinApart } from './processes.mjs';
import { startSubject } from './subjects.mjs';
import { Workplace } from './workplace.mjs';

const CONNECTIONS = 64;
const SESSIONS = 32;
/** Names in the verdict, and what each needs: subject, requests before the first round and in each, of which the naive one serves few. */
const SIDES = {
  owner: { subject: 'owner', warmup: 2500, requests: 600 },
  forwarded: { subject: 'sibling', warmup: 2500, requests: 600 },
  naive: { subject: 'naive', warmup: 300, requests: 60 },
};
const MOST_ROUNDS = 40;
/** Of one subject's idle time: shorter ones say little of what comes every second. */
const LEAST_REST_MS = 2000;

const { values } = parseArgs({ options: { build: { type: 'string' } } });
const major = Number(process.versions.node.split('.', 1)[0]);
// On two cores the two workers of a forward wake each other; on one they find more to do whenever they run, as under load.
const { gatewayCore: core, otherCore } = pinApart();
const workplace = new Workplace('berth-guard-');
const { processes, dir } = workplace;
process.exitCode = (await workplace.run(main)) ? 0 : 1;

async function main() {
  const { port } = await processes.start('backend.mjs', [], otherCore);
  const against = values.build && resolvePath(values.build);
  const bench = { processes, backendPort: port, core, otherCore, dir, against };
  const started = await Promise.all(
    Object.entries(SIDES).map(async ([side, { subject }]) => {
      const name = against && subject !== 'naive' ? `${subject}@before` : subject;
      return [side, await startSubject(name, bench)];
    }),
  );
  const subjects = new Map(started);
  // Last, so that it ends first: without its connections the others have nothing to wait for at their end.
  const ask = startLoad(processes, otherCore);
  const measure = async (side, requests) => {
    const { name } = subjects.get(side);
    const figures = await ask('measure', { names: [name], kind: 'call', connections: CONNECTIONS, turns: 1, requests });
    return figures[name];
  };
  const sides = Object.keys(SIDES);
  const counting = [];
  const rounds = [{}];
  for (const side of sides) {
    const subject = subjects.get(side);
    await ask('open', { subject, sessions: SESSIONS });
    rounds[0][side] = await measure(side, SIDES[side].warmup);
    if (subject.redisUrl) counting.push([side, await countAtRest(subject.redisUrl)]);
  }
  const atRest = new Map(await Promise.all(counting.map(async ([side, end]) => [side, await end()])));
  // The warm-up is judged for its answers alone.
  let verdict = judgeRounds(rounds, major);
  if (verdict.isDone) return tell(verdict, 0);
  rounds.length = 0;
  for (; !verdict.isDone && rounds.length < MOST_ROUNDS; verdict = judgeRounds(rounds, major)) {
    const round = {};
    for (const side of sides) round[side] = { ...(await measure(side, SIDES[side].requests)), commandsAtRest: atRest.get(side) };
    rounds.push(round);
  }
  return tell(verdict, rounds.length);
}

function tell({ isMet, lines }, rounds) {
  process.stdout.write(`${lines.join('\n')}\n${isMet ? 'kept' : 'NOT KEPT'} after ${rounds} rounds\n`);
  return isMet;
}

/** Counts the commands of a gateway that nobody asks for anything, while others warm up. @returns ends it, with the commands a second */
async function countAtRest(url) {
  const redis = new Redis(url);
  const before = await countCommands(redis);
  const startedAt = performance.now();
  return async () => {
    const left = LEAST_REST_MS - (performance.now() - startedAt);
    if (left > 0) await new Promise((wake) => setTimeout(wake, left));
    const commands = (await countCommands(redis)) - before;
    redis.disconnect();
    return (commands / (performance.now() - startedAt)) * 1000;
  };
}
