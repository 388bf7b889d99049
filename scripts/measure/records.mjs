// What a million sessions cost in Redis: memory by kind of key, and what each step of a session's life takes with few records and with
// many; what the sweep, a worker's death, a lost lease and a reconnect cost. The product's own code writes and reads everything
// (records-member.mjs), in one process that stands for several workers, against a Redis of its own without persistence, set as
// docs/redis.md says; with --plain-redis as it comes.
// Run: npm run measure:records [-- --records 1000000 --workers 4 --samples 2000 --plain-redis --json FILE]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RedisServer } from '../chaos/cluster.mjs';
import { obtainRedis } from '../obtain-redis.mjs';
import { Member } from './records-member.mjs';
import { measureDeath, measureLost, measurePeriodic, measureSweeps, measureVerify } from './records-events.mjs';
import { measureOperations, OPERATIONS } from './records-operations.mjs';
import { RedisCost } from './redis-cost.mjs';
import { measureRealRecord } from './records-real.mjs';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    workers: { type: 'string', default: '4' },
    samples: { type: 'string', default: '2000' },
    'plain-redis': { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const [RECORDS, WORKERS, SAMPLES] = [values.records, values.workers, values.samples].map(Number);
if (!(RECORDS >= 10_000 && WORKERS >= 4 && SAMPLES >= 100)) {
  process.stderr.write(
    'usage: npm run measure:records -- [--records 10000…] [--workers 4…] [--samples 100…] [--plain-redis] [--json FILE]\n',
  );
  process.exit(64);
}
const FEW = 1000;
const AT_ONCE = 256;
const PER_PRINCIPAL = 10;
const PREFIX = 'berth:';
const SLOW_MS = 5;
/** Records that are weighed one by one. */
const WEIGHED = 1000;

const began = performance.now();
const print = (text) => process.stdout.write(`${text}\n`);
const say = (text) => process.stderr.write(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}\n`);
const table = (head, rows) => [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
const dir = mkdtempSync(join(tmpdir(), 'berth-records-'));
const server = new RedisServer();
const members = [];
let cost;
/** Of each member that keeps nothing in memory: ids and references, to call them later. */
const known = [];
const weighed = [];
let opened = 0;

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
try {
  const settings = values['plain-redis'] ? [] : ['--hash-max-ziplist-value', '1024'];
  await server.start(dir, obtainRedis(), ['--save', '', '--appendonly', 'no', ...settings]);
  cost = new RedisCost(server.url);
  for (let i = 0; i < WORKERS; i++) {
    members.push(await Member.start({ url: server.url, prefix: PREFIX, name: `worker-${i + 1}`, perPrincipal: PER_PRINCIPAL }));
    known.push([]);
  }
  // BullMQ's scripts are loaded, a backend session has been ended: what comes once is not charged to the records.
  for (const member of members) member.startTeardown();
  await measureOperations({ members, cost, samples: 100 });
  const emptyBytes = await cost.usedBytes();
  await fillTo(FEW);
  const few = await measureOperations({ members, cost, samples: SAMPLES });
  say(`${FEW} records: measured`);
  const filledAt = performance.now();
  const [commandsBefore, cpuBefore] = [members.reduce((sum, { commands }) => sum + commands, 0), await cost.cpuMicros()];
  await fillTo(RECORDS);
  const filling = {
    perSecond: ((RECORDS - FEW) / (performance.now() - filledAt)) * 1000,
    commands: (members.reduce((sum, { commands }) => sum + commands, 0) - commandsBefore) / (RECORDS - FEW),
    redisMicros: ((await cost.cpuMicros()) - cpuBefore) / (RECORDS - FEW),
  };
  const memory = await weigh(emptyBytes);
  say(`${RECORDS} records: weighed`);
  await cost.watchSlow(SLOW_MS);
  const many = await measureOperations({ members, cost, samples: SAMPLES });
  say(`${RECORDS} records: measured`);
  const context = { members, cost, known, prefix: PREFIX, say };
  const periodic = await measurePeriodic(context);
  const verify = await measureVerify(context);
  const lost = await measureLost(context);
  const death = await measureDeath(context, SAMPLES);
  const sweeps = await measureSweeps(context, Math.min(10_000, known.at(-1).length - SAMPLES));
  const slow = await cost.slow();
  const real = await measureRealRecord({ redisUrl: server.url, dir, cost });
  const result = {
    records: RECORDS,
    workers: WORKERS,
    node: process.version,
    machine: machine(),
    emptyBytes,
    memory,
    filling,
    few,
    many,
  };
  Object.assign(result, { periodic, verify, lost, death, sweeps, slow, real, seconds: (performance.now() - began) / 1000 });
  report(result);
  if (values.json) writeFileSync(values.json, JSON.stringify(result, undefined, 2));
} finally {
  await Promise.all(members.map((member) => member.stop()));
  cost?.close();
  await server.crash();
}

/** Sessions as clients open and use them, in turn at each worker. The first worker keeps its sessions in memory, as in life. */
async function fillTo(size) {
  const work = async () => {
    while (opened < size) {
      const at = opened++;
      const which = at % WORKERS;
      const member = members[which];
      const session = await member.open(at);
      const digest = await member.use(session);
      if (weighed.length < WEIGHED) weighed.push({ ref: session.facts.ref, principal: session.facts.principal, digest });
      if (which === 0) continue;
      member.table.remove(session);
      known[which].push({ id: session.facts.id, ref: session.facts.ref });
    }
  };
  const told = setInterval(() => say(`${opened} of ${size} records`), 15_000);
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  clearInterval(told);
}

async function weigh(emptyBytes) {
  const bytes = {
    record: await cost.bytesEach(weighed.map(({ ref }) => `${PREFIX}{${ref}}:session`)),
    openId: await cost.bytesEach(weighed.map(({ digest }) => `${PREFIX}open:${digest}`)),
    principal: (await cost.bytesEach(weighed.map(({ principal }) => `${PREFIX}principal:${principal}`))) / PER_PRINCIPAL,
    expiry: (await cost.bytesEach([`${PREFIX}expiry`])) / RECORDS,
  };
  const total = ((await cost.usedBytes()) - emptyBytes) / RECORDS;
  // The table of all keys and that of their ends: Redis counts them to no key.
  return { ...bytes, rest: total - Object.values(bytes).reduce((sum, one) => sum + one, 0), total };
}

function machine() {
  return `${cpus()[0]?.model ?? '?'} × ${availableParallelism()}, load ${loadavg()[0].toFixed(1)}`;
}

function report({ memory, filling, few, many, periodic, verify, lost, death, sweeps, slow, real, seconds }) {
  const [ms, us] = [(value) => value.toFixed(2), (value) => value.toFixed(0)];
  print(`node ${process.version}, ${machine()}; ${RECORDS} records of ${WORKERS} workers, ${seconds.toFixed(0)} s\n`);
  print(
    table(
      ['bytes in Redis of a session', 'bytes'],
      Object.entries(memory).map(([kind, value]) => [kind, us(value)]),
    ),
  );
  print(`\nrecord of a real session of a pod: ${us(real.bytes)} bytes, fields ${real.fields}; here ${us(memory.record)}`);
  print(
    `filled at ${us(filling.perSecond)}/s: ${filling.commands.toFixed(1)} commands, ${us(filling.redisMicros)} µs of Redis each\n`,
  );
  const row = (name) => [
    name,
    few[name].commands.toFixed(1),
    us(few[name].workerMicros),
    ...[few, many].flatMap((at) => [`${ms(at[name].p50)} / ${ms(at[name].p99)}`, us(at[name].redisMicros)]),
    (many[name].redisMicros / few[name].redisMicros).toFixed(2),
  ];
  const size = (count) => [`${count}: p50 / p99 ms`, 'µs of Redis'];
  print(
    table(['step', 'commands', 'µs of the workers', ...size(FEW), ...size(RECORDS), 'ratio'], Object.keys(OPERATIONS).map(row)),
  );
  print(`\n${table(['what grows with the sessions of one worker', `with ${periodic.sessions}`], periodic.rows)}`);
  print(
    `\n${table(
      ['event', 'sessions', 'seconds', 'commands each', 'µs of Redis each', 'longest stall, ms'],
      [
        ...[verify, lost, death.claims, sweeps.expired].map((one) => [
          one.what,
          one.sessions,
          ms(one.seconds),
          one.commands.toFixed(1),
          us(one.redisMicros),
          us(one.stallMs),
        ]),
      ],
    )}`,
  );
  print(
    `\na dead worker's ${death.sessions} sessions cost ${death.commandsAtRest.toFixed(1)} commands/s as long as nobody asks for them`,
  );
  print(`a sweep with nothing to do: ${sweeps.idle.commands} commands, ${ms(sweeps.idle.ms)} ms`);
  print(`after the lost lease: ${lost.kept} kept, ${lost.dropped} dropped`);
  if (sweeps.left > 0) print(`of the expired sessions ${sweeps.left} were not ended in time`);
  const text = slow.map(({ command, count, maxMs }) => `${command} ${count} times, up to ${maxMs.toFixed(1)} ms`).join('; ');
  print(`commands that held Redis up for more than ${SLOW_MS} ms with ${RECORDS} records: ${text || 'none'}`);
}
