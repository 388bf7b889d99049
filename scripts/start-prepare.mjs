// From a fresh clone to a built tree: packages installed, sources compiled; each only if it is missing or stale.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyDashboard } from './copy-dashboard.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

export class StepFailed extends Error {
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Runs a program in the foreground; its exit code (a signal counts as 128 + n, not found as 127). */
function runStep(command, args, output = 'inherit') {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', output, output] });
  if (result.error) return 127;
  return result.status ?? 143;
}

export const runNode = (args) => runStep(process.execPath, args);

function runNpm(args, output) {
  // The npm that started us, where there is one: the one on PATH may belong to another Node.
  const cli = process.env.npm_execpath;
  return cli && /\.c?js$/.test(cli) ? runStep(process.execPath, [cli, ...args], output) : runStep('npm', args, output);
}

const readJson = (file) => {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8'));
  } catch {
    return undefined;
  }
};

/** Whether what is installed is what the lock file says. By content: a checkout makes files newer without changing them. */
function isInstalled() {
  const wanted = readJson('package-lock.json')?.packages;
  const found = readJson('node_modules/.package-lock.json')?.packages;
  if (!wanted || !found) return existsSync(join(root, 'node_modules', 'typescript', 'package.json')) && !wanted;
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || entry.devOptional || entry.peer || found[path]?.version === entry.version,
  );
}

export function ensureInstalled() {
  if (isInstalled()) return;
  process.stdout.write('Installing packages (once) …\n');
  // Also with NODE_ENV=production: the compiler is a development dependency.
  // Its errors, not its advice on packages that are not the reader's.
  const options = ['--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  // `npm ci` also refuses a lock file that lacks optional packages of other systems, at great length: what it says helps
  // nobody here, and `npm install` says what is really missing.
  if (existsSync(join(root, 'package-lock.json')) && runNpm(['ci', ...options], 'ignore') === 0) return;
  if (runNpm(['install', ...options]) === 0) return;
  throw new StepFailed('npm could not install the packages: see its message above. It needs the network for it.', 69);
}

const newestIn = (path) => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  // A directory's own time tells of files that were removed.
  return stat.isDirectory()
    ? Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestIn(join(path, name))))
    : stat.mtimeMs;
};

const STAMP = join(root, 'dist', '.built');

/** Compiles if a source is newer than the last build that succeeded. */
export function ensureBuilt() {
  const built = statSync(STAMP, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const inputs = ['src', 'package.json', 'tsconfig.json', 'tsconfig.build.json'].map((name) => newestIn(join(root, name)));
  if (existsSync(join(root, 'dist', 'main.js')) && built > Math.max(...inputs)) return;
  const begun = new Date();
  process.stdout.write('Building …\n');
  const code = runNode([join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json']);
  if (code !== 0) throw new StepFailed('The build failed: see the messages of the compiler above.', 1);
  copyDashboard();
  writeFileSync(STAMP, `${begun.toISOString()}\n`);
}
