// npm run conformance: the official suite against a backend directly, and through two pods of two workers behind a balancer that chooses
// per request; and with the gateway as the client that the suite judges. Exit code 0: through the gateway everything passes that passes
// directly, and everything that is scored; 1: not so; 64: bad usage; 69: the suite or Redis could not be obtained.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { obtainRedis } from '../obtain-redis.mjs';
import { Report } from './report.mjs';
import { SUBJECTS, Subjects } from './subjects.mjs';
import { CLIENT_SCENARIOS, Suite } from './suite.mjs';

const here = import.meta.dirname;
const CLIENT = 'client';
const ALL = [...SUBJECTS, CLIENT];
/** Runs at a time: the suite mostly waits. */
const PARALLEL = 2;
const USAGE = `usage: npm run conformance [-- --only ${ALL.join(',')} --scenario NAME --write --keep --report FILE]`;

const options = readOptions();
const dir = mkdtempSync(join(tmpdir(), 'berth-conformance-'));
const suite = new Suite();
const subjects = new Subjects();

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
try {
  process.exitCode = await main();
} catch (error) {
  say(error.exitCode ? error.message : error.stack);
  process.exitCode = error.exitCode ?? 1;
} finally {
  await cleanUp();
}

async function main() {
  const redisProgram = obtainRedis();
  // What a deployment sets is not meant for the pods that are judged here.
  for (const name of Object.keys(process.env)) if (name.startsWith('BERTH_')) delete process.env[name];
  suite.obtain();
  const { names, scored } = suite.serverScenarios();
  const { only, scenario } = options;
  if (scenario && ![...names, ...CLIENT_SCENARIOS].includes(scenario)) throw usageError(`the suite has no scenario ${scenario}`);
  const servers = SUBJECTS.filter((name) => only.includes(name) && (!scenario || names.includes(scenario)));
  const clients = CLIENT_SCENARIOS.filter((name) => only.includes(CLIENT) && (!scenario || name === scenario));
  if (servers.length > 0) await subjects.start(dir, redisProgram);
  const asServer = Object.fromEntries(servers.map((name) => [name, {}]));
  const asClient = { direct: {}, http: {} };
  const runs = servers.map((name) => async () => {
    asServer[name] = await suite.runServer(subjects.urls[name], join(dir, `out-${name}`), scenario);
  });
  await runAll([...runs, ...clientRuns(clients, asClient)]);
  return tell([
    ...(servers.length > 0 ? [new Report('scenario', asServer, (name) => scored.has(name))] : []),
    ...(clients.length > 0 ? [new Report('client scenario', asClient)] : []),
  ]);
}

/** The suite plays the server: of the SDK's client alone, and of the gateway that it speaks to. */
function clientRuns(scenarios, results) {
  const driver = [process.execPath, join(here, 'client-driver.mjs')].map((path) => `"${path}"`).join(' ');
  const commands = { direct: `${driver} --direct`, http: driver };
  return scenarios.flatMap((scenario) =>
    Object.keys(results).map((subject) => {
      // Keeps its row, whichever run ends first.
      results[subject][scenario] = { passed: 0, failed: 1, messages: ['it did not run'] };
      return async () => {
        const out = join(dir, `client-${subject}-${scenario}`);
        results[subject][scenario] = await suite.runClient(scenario, commands[subject], out);
      };
    }),
  );
}

async function runAll(runs) {
  const waiting = [...runs];
  const work = async () => {
    for (let run = waiting.shift(); run; run = waiting.shift()) await run();
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
}

function tell(reports) {
  const table = reports.map((report) => report.table()).join('\n\n');
  process.stdout.write(`${table}\n`);
  const verdicts = reports.flatMap((report) => report.verdicts());
  const failed = verdicts.filter(({ verdict }) => verdict !== 'passed');
  for (const { subject, scenario, messages } of failed) {
    process.stderr.write(`\n${subject}, ${scenario}:\n  ${messages.join('\n  ')}\n`);
  }
  if (options.write) writeTable(table);
  if (options.report) writeFileSync(options.report, JSON.stringify(verdicts));
  return failed.some(({ verdict }) => verdict === 'failed') ? 1 : 0;
}

function writeTable(table) {
  const file = join(here, '../../docs/conformance.md');
  const [head] = readFileSync(file, 'utf8').split('<!-- table -->');
  writeFileSync(file, `${head}<!-- table -->\n\n${table}\n`);
}

function readOptions() {
  const text = { type: 'string' };
  const flag = { type: 'boolean' };
  try {
    const { values } = parseArgs({ options: { only: text, scenario: text, report: text, write: flag, keep: flag } });
    const only = values.only?.split(',') ?? ALL;
    if (only.every((name) => ALL.includes(name))) return { ...values, only };
  } catch {
    // Told below.
  }
  process.stderr.write(`${USAGE}\n`);
  process.exit(64);
}

function usageError(message) {
  return Object.assign(new Error(`${message}\n${USAGE}`), { exitCode: 64 });
}

async function cleanUp() {
  await subjects.stop();
  if (options.keep) say(`kept: ${dir}`);
  else rmSync(dir, { recursive: true, force: true });
}

function say(text) {
  process.stderr.write(`conformance: ${text}\n`);
}
