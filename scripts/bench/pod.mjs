// A pod as it runs in production: the built product with a configuration and a directory of its own.
import { existsSync, mkdirSync, openSync, writeFileSync, closeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { childrenOf, commandOf } from './proc.mjs';

const MAIN = join(import.meta.dirname, '../../dist/main.js');
const FOLLOW = pathToFileURL(join(import.meta.dirname, '../start-follow.mjs')).href;
const READY_WITHIN_MS = 60_000;
/** Of the admin API, where the configuration names no other. */
export const ADMIN_TOKEN = 'bench';

/**
 * @param options `{ processes, core, dir, host, config, ports, logFile, follows, main, nodeArgs, env }`; `ports` ({ port, adminPort }) default to free ones.
 *   Logs are on, as in production; without `logFile` they go where nobody has to read them. `follows`: a process group of its own, so
 *   that a Ctrl-C is for us alone, and an orderly end when we die without a word. `main`: of another build; `nodeArgs`, `env`: of the
 *   primary and its workers
 * @returns at once; `ready()` waits until it serves
 */
export async function startPod({
  processes,
  core,
  dir,
  host,
  config,
  ports,
  logFile,
  follows = false,
  main = MAIN,
  nodeArgs = [],
  env,
}) {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`);
  const temporary = join(dir, 't');
  mkdirSync(temporary, { recursive: true });
  const port = ports?.port ?? (await freePort(host));
  const adminPort = ports?.adminPort ?? (await freePort(host));
  const whole = {
    listen: `${host}:${port}`,
    hosts: ['*'],
    auth: { mode: 'none' },
    admin: { listen: `${host}:${adminPort}`, token: ADMIN_TOKEN },
    dataDir: join(dir, 'data'),
    log: { level: 'info', format: 'json' },
    ...config,
  };
  const file = join(dir, 'berth.json');
  writeFileSync(file, JSON.stringify(whole, undefined, 2));
  const log = logFile === undefined ? 'ignore' : openSync(logFile, 'a');
  const child = processes.spawn(
    process.execPath,
    [...nodeArgs, ...(follows ? ['--import', FOLLOW] : []), main, 'serve', '--config', file],
    {
      cwd: dir,
      env: { ...process.env, TMPDIR: temporary, ...env },
      detached: follows,
      stdio: ['ignore', log, logFile === undefined ? 'inherit' : log, ...(follows ? ['pipe'] : [])],
    },
    core,
  );
  child.stdio[3]?.on('error', () => undefined);
  if (logFile !== undefined) closeSync(log);
  const admin = `http://${host}:${adminPort}`;
  return {
    pid: child.pid,
    child,
    host,
    port,
    adminPort,
    dir,
    admin,
    exited: new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal }))),
    /** Pids of the live workers. */
    workers: () => workersOf(child.pid),
    ready: () => untilReady(`${admin}/readyz`, child),
  };
}

/** Of a primary: pids of the live ones. */
export const workersOf = (primary) => childrenOf(primary).filter((pid) => commandOf(pid).includes('main.js'));

async function untilReady(url, child) {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.status === 200) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`the pod did not become ready: ${url}, exit code ${child.exitCode ?? child.signalCode}`);
}

export async function freePort(host) {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, host, resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
