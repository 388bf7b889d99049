// The work of npm start: prepare, serve berth.yaml or the demo (which prints URLs and snippets), pass signals and exit code on.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { obtainRedis } from './obtain-redis.mjs';
import { ensureBuilt, ensureInstalled, root, StepFailed } from './start-prepare.mjs';

// npm passes a Ctrl-C on that the terminal has sent to the whole foreground group already: two signals, one wish. A person
// who wants to force the end needs longer than that for the second one.
const ONE_WISH_MS = 400;

const say = (text) => process.stdout.write(`${text}\n`);

/** @param args further arguments for `berth serve`; `--config FILE` replaces the search for berth.yaml */
export async function start(args) {
  try {
    ensureInstalled();
    ensureBuilt();
    process.exitCode = await serve(args);
  } catch (error) {
    if (typeof error?.exitCode !== 'number') throw error;
    process.stderr.write(`${error instanceof StepFailed ? '' : 'npm start: '}${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}

const load = (name) => import(pathToFileURL(join(root, 'dist', name)).href);

async function serve(args) {
  const { findConfigFile, loadConfig } = await load('config/load.js');
  const own = configArgument(args) ?? findConfigFile(root);
  const demo = own ? undefined : await import('./start-demo.mjs');
  const prepared = demo ? await demo.prepareDemo() : { env: {}, stop: () => {} };
  try {
    const file = own ?? demo.demoConfig;
    const env = { ...process.env, ...prepared.env };
    const flags = { listen: flagArgument(args, '--listen', '-l') };
    const { config } = loadConfig({ file, flags, env, cwd: root });
    if (!config.redis.url) obtainRedis();
    say(demo ? 'No berth.yaml here: serving the demo.' : `Serving ${relative(root, file) || file}.`);
    const rest = configArgument(args) ? args : ['--config', file, ...args];
    // Also where the log is JSON: whoever runs this is a person, or wants to see what a person sees.
    return await runGateway(['serve', '--snippets', 'always', ...rest], env);
  } finally {
    prepared.stop();
  }
}

const flagArgument = (args, long, short) => {
  const at = args.findIndex((arg) => arg === long || arg === short);
  return at >= 0 ? args[at + 1] : args.find((arg) => arg.startsWith(`${long}=`))?.slice(long.length + 1);
};
const configArgument = (args) => flagArgument(args, '--config', '-c');

/** Resolves with the exit code of the gateway. */
function runGateway(args, env) {
  return new Promise((resolve) => {
    // A group of its own: what the terminal sends to the foreground group must not reach it beside what is passed on here, as
    // its second signal forces the end.
    const follow = pathToFileURL(join(root, 'scripts', 'start-follow.mjs')).href;
    const gateway = spawn(
      process.execPath,
      ['--enable-source-maps', '--import', follow, join(root, 'dist', 'main.js'), ...args],
      {
        cwd: root,
        env,
        detached: true,
        stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      },
    );
    gateway.stdio[3].on('error', () => {});
    let last = Number.NEGATIVE_INFINITY;
    const passOn = (signal) => {
      const now = performance.now();
      if (now - last < ONE_WISH_MS) return;
      last = now;
      // A closed terminal means an orderly end too.
      gateway.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, passOn);
    const end = (code) => {
      for (const signal of signals) process.removeListener(signal, passOn);
      resolve(code);
    };
    gateway.once('error', (error) => {
      process.stderr.write(`npm start: ${error.message}\n`);
      end(1);
    });
    gateway.once('exit', (code, signal) => end(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}
