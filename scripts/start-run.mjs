// The work of npm start: prepare, serve berth.yaml or the demo, print URLs and snippets when ready, pass signals and exit code on.
import { spawn } from 'node:child_process';
import { get } from 'node:http';
import { constants } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { obtainRedis } from './obtain-redis.mjs';
import { ensureBuilt, ensureInstalled, root, StepFailed } from './start-prepare.mjs';

// npm passes a Ctrl-C on that the terminal has sent to the whole foreground group already: two signals, one wish. A person
// who wants to force the end needs longer than that for the second one.
const ONE_WISH_MS = 400;
const READY_POLL_MS = 150;

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
    return await runGateway(['serve', ...rest], env, config);
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
function runGateway(args, env, config) {
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
    const stopWaiting = whenReady(config, () => say(welcome(config)));
    let last = Number.NEGATIVE_INFINITY;
    const passOn = (signal) => {
      const now = performance.now();
      if (now - last < ONE_WISH_MS) return;
      last = now;
      stopWaiting();
      // A closed terminal means an orderly end too.
      gateway.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, passOn);
    const end = (code) => {
      stopWaiting();
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

const split = (address) => {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
};
const reachable = (address) => {
  const { host, port } = split(address);
  return `http://${host === '0.0.0.0' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host}:${port}`;
};

/** Calls back once when the admin port says that the gateway is ready; returns how to stop waiting. */
function whenReady(config, ready) {
  // Any port: nobody here knows which it became; the log says it.
  if (split(config.admin.listen).port === 0 || split(config.listen).port === 0) return () => {};
  let timer;
  let stopped = false;
  const again = () => {
    if (!stopped) timer = setTimeout(probe, READY_POLL_MS);
  };
  const probe = () => {
    const request = get(`${reachable(config.admin.listen)}/readyz`, { timeout: 2000, agent: false }, (answer) => {
      answer.resume();
      if (stopped) return;
      if (answer.statusCode === 200) ready();
      else again();
    });
    request.once('timeout', () => request.destroy());
    request.once('error', again);
  };
  probe();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

function welcome(config) {
  const base = (config.publicUrl ?? reachable(config.listen)).replace(/\/+$/, '');
  const backends = Object.keys(config.mcpServers);
  const named = [...Object.keys(config.servers), ...(config.expose.backends ? backends : [])];
  const urls = [
    ...(config.expose.all ? [['all backends', `${base}/mcp`]] : []),
    ...named.map((id) => [id, `${base}/servers/${id}/mcp`]),
  ];
  const [first] = Object.keys(config.servers);
  const id = first ?? 'berth';
  const url = first ? `${base}/servers/${first}/mcp` : (urls[0]?.[1] ?? `${base}/mcp`);
  const width = Math.max(5, ...urls.map(([name]) => name.length));
  return `
Berth is ready.

${urls.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n')}
  ${'admin'.padEnd(width)}  ${reachable(config.admin.listen)}  (/metrics, /livez, /readyz, /api)

Claude Code:
  claude mcp add --transport http ${id} ${url}

Cursor and other clients with an mcpServers file:
  ${JSON.stringify({ mcpServers: { [id]: { type: 'http', url } } })}

VS Code (.vscode/mcp.json):
  ${JSON.stringify({ servers: { [id]: { type: 'http', url } } })}

Ctrl-C ends it.
`;
}
