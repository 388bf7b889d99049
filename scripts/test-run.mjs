// The work of npm test. The last line is `N passed, N failed, N skipped` over all lanes; a check that fails counts as one failed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { obtainRedis } from './obtain-redis.mjs';
import { ensureBuilt, ensureInstalled, root, runNode } from './start-prepare.mjs';

const LANES = ['unit', 'contract', 'integration', 'cluster', 'reliability', 'docs', 'conformance'];
/** Minutes of servers that fail, or of documents that are followed: asked for by name. */
const ON_REQUEST = ['reliability', 'docs'];
const DEFAULT_LANES = LANES.filter((lane) => !ON_REQUEST.includes(lane));
/** Load and the failures of servers, for minutes: beside other test files they would measure these. */
const SERIAL = ['reliability', 'docs'];
/** The others wait half of their time, for leases and for processes to start: two files at a time, on however few cores. */
const PARALLEL = 2;
const bin = (...path) => join(root, 'node_modules', ...path);

const CONFORMANCE = join(root, 'scripts', 'conformance', 'conformance.mjs');

const CHECKS = [
  ['lint', [bin('@biomejs', 'biome', 'bin', 'biome'), 'lint', '.']],
  ['format', [bin('@biomejs', 'biome', 'bin', 'biome'), 'format', '.']],
  ['types', [bin('typescript', 'bin', 'tsc'), '--noEmit']],
  ['generated documents', [join(root, 'scripts', 'docs.mjs'), '--check']],
];

const total = { passed: 0, failed: 0, skipped: 0 };

export async function test(args) {
  try {
    const { lanes, rest } = readArguments(args);
    ensureInstalled();
    // A build that fails is told, and what can run without it still runs.
    step('build', () => ensureBuilt());
    if ((lanes ?? DEFAULT_LANES).some((lane) => lane !== 'unit')) step('redis', () => obtainRedis());
    if (!lanes) for (const [name, command] of CHECKS) step(name, () => check(command));
    for (const lane of lanes ?? DEFAULT_LANES) runLane(lane, rest);
  } catch (error) {
    total.failed += 1;
    process.stderr.write(`npm test: ${error?.exitCode ? error.message : error?.stack}\n`);
    process.exitCode = error?.exitCode ?? 1;
  }
  if (total.failed) process.exitCode ||= 1;
  process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
}

function readArguments(args) {
  const lanes = [];
  const rest = [];
  for (let i = 0; i < args.length; i++) {
    const [name, value] = args[i].split('=');
    if (name === '--lane') lanes.push(...(value ?? args[++i] ?? '').split(','));
    else rest.push(args[i]);
  }
  const unknown = lanes.find((lane) => !LANES.includes(lane));
  if (unknown !== undefined) {
    throw Object.assign(new Error(`there is no lane "${unknown}": ${LANES.join(', ')}`), { exitCode: 64 });
  }
  return { lanes: lanes.length ? lanes : undefined, rest };
}

function step(name, run) {
  process.stdout.write(`\n── ${name}\n`);
  try {
    run();
  } catch (error) {
    total.failed += 1;
    process.stderr.write(`${name} failed: ${error.message}\n`);
  }
}

function check(command) {
  const code = runNode(command);
  if (code !== 0) throw new Error(`exit code ${code}`);
}

/** One lane in a process of its own; its result is read from the report that it leaves, not from its output. */
function runLane(lane, rest) {
  process.stdout.write(`\n── ${lane} tests\n`);
  const directory = mkdtempSync(join(tmpdir(), 'berth-test-'));
  const report = join(directory, 'report.json');
  const command = lane === 'conformance' ? [CONFORMANCE, '--report', report] : jestCommand(lane, report, rest);
  // Only the file is wanted: the same results on stdout would bury the messages, which go to stderr.
  const code = spawnSync(process.execPath, command, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }).status ?? 1;
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    count(lane, lane === 'conformance' ? countsOfSuite(result) : countsOfJest(result), code);
  } catch {
    total.failed += 1;
    process.stderr.write(`${lane}: it ended with ${code} and without a report\n`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function jestCommand(lane, report, rest) {
  const workers = SERIAL.includes(lane)
    ? ['--runInBand']
    : ['--maxWorkers', String(Math.max(PARALLEL, Math.floor(availableParallelism() / 2)))];
  const options = ['--selectProjects', lane, '--passWithNoTests', '--json', '--outputFile', report, ...workers, ...rest];
  return [bin('jest', 'bin', 'jest.js'), ...options];
}

const countsOfJest = (result) => ({
  passed: result.numPassedTests,
  // A file that could not be run at all holds tests that nobody counted.
  failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
  skipped: result.numPendingTests + result.numTodoTests,
});

/** Every scenario of every subject is one. */
function countsOfSuite(verdicts) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { verdict } of verdicts) counts[verdict] += 1;
  return counts;
}

function count(lane, { passed, failed, skipped }, code) {
  process.stdout.write(`${passed} of ${passed + failed}${skipped ? `, without ${skipped}` : ''}\n`);
  total.passed += passed;
  total.skipped += skipped;
  total.failed += failed;
  if (code === 0 || failed) return;
  total.failed += 1;
  process.stderr.write(`${lane}: no test failed, yet it ended with ${code}\n`);
}
