// npm run conformance: the official suite against a backend directly, and through two pods of two workers behind a balancer that chooses
// per request. Exit code 0: through the gateway everything passes that passes directly, and everything that is scored; 1: not so.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { coreOf, Processes } from '../bench/processes.mjs';
import { newSecret, PodPlace, RedisServer } from '../chaos/cluster.mjs';
import { obtainRedis } from '../obtain-redis.mjs';
import { startRoundRobin } from './round-robin.mjs';

const here = import.meta.dirname;
const SERVER = join(here, 'conformance-server.mjs');
/** Pinned: a newer suite asks for other things. It needs a newer Node than the gateway does; npm brings one. */
const RUNNER = ['-y', '-p', 'node@24', '-p', '@modelcontextprotocol/conformance@0.2.0-alpha.12', 'conformance'];
const REVISION = '2025-11-25';
const PODS = 2;
const RUN_MS = 240_000;
/** One backend of two: the other has the rest. */
const HALF = [
  'test_simple_text',
  'test_sampling',
  'test_elicitation',
  'test_tool_with_progress',
  'test_error_handling',
  'resources',
];
const USAGE = 'usage: npm run conformance [-- --only direct,http,sse,stdio,spread --scenario NAME --write --keep]';

const options = readOptions();
const dir = mkdtempSync(join(tmpdir(), 'berth-conformance-'));
const processes = new Processes();
const redis = new RedisServer();
const places = [];
let balancer;

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
try {
  process.exitCode = await main();
} finally {
  await cleanUp();
}

async function main() {
  obtainRedis();
  await redis.start(join(dir, 'redis'));
  const http = await processes.start(SERVER, ['http'], coreOf(undefined));
  const sse = await processes.start(SERVER, ['sse'], coreOf(undefined));
  const half = await processes.start(SERVER, ['http', '--only', HALF.join(',')], coreOf(undefined));
  const rest = await processes.start(SERVER, ['http', '--without', HALF.join(',')], coreOf(undefined));
  await startPods({
    http: { type: 'http', url: urlOf(http.port) },
    sse: { type: 'sse', url: `http://127.0.0.1:${sse.port}/sse` },
    stdio: { command: process.execPath, args: [SERVER, 'stdio'] },
    half: { type: 'http', url: urlOf(half.port) },
    rest: { type: 'http', url: urlOf(rest.port) },
  });
  balancer = await startRoundRobin(places);
  const through = (server) => `http://127.0.0.1:${balancer.port}/servers/${server}/mcp`;
  const subjects = {
    direct: urlOf(http.port),
    http: through('http'),
    sse: through('sse'),
    stdio: through('stdio'),
    spread: through('spread'),
  };
  const results = {};
  for (const [name, url] of Object.entries(subjects)) {
    if (!options.only.includes(name)) continue;
    say(`${name} …`);
    results[name] = await runSuite(url, join(dir, `out-${name}`));
  }
  return report(results);
}

async function startPods(mcpServers) {
  const secret = newSecret();
  for (let i = 0; i < PODS; i++) {
    const host = `127.0.0.${i + 2}`;
    const config = {
      workers: 2,
      hosts: [],
      redis: { url: redis.url, prefix: 'conformance:' },
      internal: { host, secret },
      mcpServers,
      servers: { spread: { backends: ['half', 'rest'] } },
    };
    places.push(new PodPlace(`pod ${i + 1}`, { processes, dir: join(dir, `pod-${i + 1}`), host, config }));
  }
  await Promise.all(places.map((place) => place.start()));
}

function urlOf(port) {
  return `http://127.0.0.1:${port}/mcp`;
}

/** @returns by scenario: `{ passed, failed, scored, messages }` */
async function runSuite(url, out) {
  mkdirSync(out);
  const which = options.scenario ? ['--scenario', options.scenario] : ['--requirements', REVISION];
  const args = [...RUNNER, 'server', '--url', url, ...which, '-o', out];
  const text = await new Promise((resolve, reject) => {
    const child = spawn('npx', args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    const force = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), RUN_MS);
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (part) => {
      said += part;
    });
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(force);
      resolve(said);
    });
  });
  const unscored = new Set([...text.matchAll(/^ {2}[✓✗] (\S+) \(/gm)].map(([, name]) => name));
  const scenarios = {};
  for (const [, name, passed, failed] of text.matchAll(/^[✓✗] (\S+): (\d+) passed, (\d+) failed/gm)) {
    const messages = failuresOf(out, name);
    scenarios[name] = { passed: Number(passed), failed: Number(failed), scored: !unscored.has(name), messages };
  }
  if (Object.keys(scenarios).length === 0) throw new Error(`the suite said nothing of its results:\n${text.slice(-2000)}`);
  return scenarios;
}

function failuresOf(out, scenario) {
  const prefix = `server-${scenario}-2`;
  return readdirSync(out)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(out, name, 'checks.json'))
    .filter((file) => existsSync(file))
    .flatMap((file) => JSON.parse(readFileSync(file, 'utf8')))
    .filter(({ status }) => status === 'FAILURE')
    .map(({ id, errorMessage }) => `${id}: ${errorMessage}`);
}

function report(results) {
  const names = Object.keys(results);
  const scenarios = [...new Set(names.flatMap((name) => Object.keys(results[name])))];
  const cell = (one) =>
    one === undefined ? '–' : one.failed === 0 ? `${one.passed}` : `${one.passed}, **${one.failed} failed**`;
  const rows = scenarios.map((scenario) => {
    const isScored = names.some((name) => results[name][scenario]?.scored);
    return `| ${scenario}${isScored ? '' : ' (not scored)'} | ${names.map((name) => cell(results[name][scenario])).join(' | ')} |`;
  });
  const count = (name, scored) => {
    const all = Object.values(results[name]).filter((one) => one.scored === scored);
    return `${all.filter(({ failed }) => failed === 0).length}/${all.length}`;
  };
  const total = (scored) => names.map((name) => count(name, scored)).join(' | ');
  const table = [
    `| scenario | ${names.join(' | ')} |`,
    `|---|${names.map(() => '---').join('|')}|`,
    ...rows,
    `| **scored scenarios passed** | ${total(true)} |`,
    `| **others passed** | ${total(false)} |`,
  ].join('\n');
  process.stdout.write(`${table}\n`);
  let isFine = true;
  for (const name of names) {
    for (const [scenario, { failed, scored, messages }] of Object.entries(results[name])) {
      if (failed === 0) continue;
      process.stdout.write(`\n${name}, ${scenario}:\n  ${messages.join('\n  ')}\n`);
      if (scored || results.direct?.[scenario]?.failed === 0) isFine = false;
    }
  }
  if (options.write) writeTable(table);
  return isFine ? 0 : 1;
}

function writeTable(table) {
  const file = join(here, '../../docs/conformance.md');
  const [head] = readFileSync(file, 'utf8').split('<!-- table -->');
  writeFileSync(file, `${head}<!-- table -->\n\n${table}\n`);
}

function readOptions() {
  const all = ['direct', 'http', 'sse', 'stdio', 'spread'];
  const flags = { only: { type: 'string' }, scenario: { type: 'string' }, write: { type: 'boolean' }, keep: { type: 'boolean' } };
  try {
    const { values } = parseArgs({ options: flags });
    const only = values.only?.split(',') ?? all;
    if (only.every((name) => all.includes(name))) return { ...values, only };
  } catch {
    // Told below.
  }
  process.stderr.write(`${USAGE}\n`);
  process.exit(64);
}

async function cleanUp() {
  balancer?.close();
  await processes.stop();
  if (redis.isUp) await redis.crash();
  if (options.keep) say(`kept: ${dir}`);
  else rmSync(dir, { recursive: true, force: true });
}

function say(text) {
  process.stderr.write(`conformance: ${text}\n`);
}
