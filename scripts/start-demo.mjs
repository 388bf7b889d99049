// The demo: two real backends from the project's own dependencies, on free ports.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './start-prepare.mjs';

export const demoConfig = join(root, 'scripts', 'demo', 'berth.yaml');
const everything = join(root, 'node_modules', '@modelcontextprotocol', 'server-everything', 'dist', 'index.js');

/** Resolves with the port if it is free on loopback, else undefined. */
const tryPort = (port) =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const found = probe.address().port;
      probe.close(() => resolve(found));
    });
  });

async function freePort(from, taken) {
  for (let port = from; port < from + 200; port++) {
    if (!taken.includes(port) && (await tryPort(port)) !== undefined) return port;
  }
  throw Object.assign(new Error(`No free port from ${from} to ${from + 199} on 127.0.0.1.`), { exitCode: 69 });
}

/** A shared Redis (BERTH_REDIS_URL) demands a secret; the demo makes and keeps one. */
function demoSecret() {
  const file = join(root, '.berth', 'demo', 'shared-secret');
  if (!existsSync(file)) {
    mkdirSync(join(root, '.berth', 'demo'), { recursive: true, mode: 0o700 });
    writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600 });
  }
  return readFileSync(file, 'utf8');
}

/** Starts the HTTP backend and returns the environment of the gateway, and how to end the backend. */
export async function prepareDemo() {
  const listen = await freePort(8080, []);
  const admin = await freePort(8081, [listen]);
  const backend = await tryPort(0);
  const env = {
    DEMO_PORT: String(listen),
    DEMO_ADMIN_PORT: String(admin),
    DEMO_BACKEND_PORT: String(backend),
    DEMO_NODE: process.execPath,
    DEMO_EVERYTHING: everything,
  };
  const { BERTH_REDIS_URL, BERTH_SECRET, BERTH_SECRET_FILE } = process.env;
  if (BERTH_REDIS_URL && !BERTH_SECRET && !BERTH_SECRET_FILE) env.BERTH_SECRET = demoSecret();
  return { env, stop: keepBackend(backend) };
}

/** Runs the backend and starts it anew when it dies: the gateway finds it again, that is part of what the demo shows. */
function keepBackend(port) {
  let child;
  let timer;
  let stopped = false;
  const launch = () => {
    const preload = pathToFileURL(join(root, 'scripts', 'demo', 'loopback-only.mjs')).href;
    // Detached: a Ctrl-C in the terminal is for the gateway, whose drain still needs its backends.
    child = spawn(process.execPath, ['--import', preload, everything, 'streamableHttp'], {
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', PORT: String(port) },
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said = (said + chunk).slice(-2000);
    });
    // Its death is told by 'exit'; a write after it is nobody's problem.
    child.stdin.on('error', () => {});
    child.once('error', () => {});
    child.once('exit', (code, signal) => {
      if (stopped) return;
      process.stderr.write(`The demo's HTTP backend ended (${signal ?? code}); starting it again.\n${code ? said : ''}`);
      timer = setTimeout(launch, 1000);
    });
  };
  launch();
  return () => {
    stopped = true;
    clearTimeout(timer);
    child.stdin.end();
    child.kill('SIGKILL');
  };
}
