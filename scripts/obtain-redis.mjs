// Finds a redis-server (or valkey-server), installs one with apt where it may, else says what to run. Plain Node: runs before
// any package is installed. As a program: `node scripts/obtain-redis.mjs` prints the path, or exits with 69.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const NAMES = ['redis-server', 'valkey-server'];

const HELP = `There is no redis-server here. Berth brings up its own Redis, but needs the program. Install it:

  Debian, Ubuntu   sudo apt-get update && sudo apt-get install -y redis-server
  Fedora, RHEL     sudo dnf install -y valkey        (older: sudo dnf install -y redis)
  Alpine           sudo apk add redis
  macOS            brew install redis

or use one that runs elsewhere, for example in Docker (tests empty what they use: give them one of their own):

  docker run -d --name berth-redis -p 127.0.0.1:6379:6379 redis:7 --maxmemory-policy noeviction --appendonly yes
  BERTH_REDIS_URL=redis://127.0.0.1:6379 npm start
`;

function findOnPath(name) {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      if (directory && statSync(file).isFile()) return file;
    } catch {
      // Not here: look on.
    }
  }
  return undefined;
}

const findServer = () => NAMES.map(findOnPath).find(Boolean);

const POLICY = '/usr/sbin/policy-rc.d';

/** Installs with apt so that the package starts no service of its own: what we run is a child of ours on a socket of ours. */
function installWithApt() {
  if (process.getuid?.() !== 0 || !findOnPath('apt-get')) return undefined;
  process.stderr.write('No redis-server on PATH: installing the package with apt-get …\n');
  // Whoever has a policy keeps it.
  const ownPolicy = !existsSync(POLICY);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  // To stderr, so that stdout holds the path alone.
  const apt = (...args) => spawnSync('apt-get', args, { stdio: ['ignore', 2, 2], env }).status === 0;
  try {
    if (ownPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    apt('update');
    for (const name of NAMES) {
      if (!apt('install', '-y', '--no-install-recommends', name)) continue;
      disableService(name);
      const found = findServer();
      if (found) return found;
    }
  } catch (error) {
    process.stderr.write(`apt-get: ${error instanceof Error ? error.message : String(error)}\n`);
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true });
  }
  return undefined;
}

/** The package was not there before, so neither was its service: it is ours to keep from starting at the next boot. */
function disableService(name) {
  if (existsSync('/run/systemd/system')) spawnSync('systemctl', ['disable', '--now', name], { stdio: 'ignore' });
  else if (findOnPath('update-rc.d')) spawnSync('update-rc.d', [name, 'disable'], { stdio: 'ignore' });
}

/**
 * The path of a server program; undefined if BERTH_REDIS_URL names a running Redis.
 * @throws Error with exitCode 69 and a message that says what to run
 */
export function obtainRedis() {
  if (process.env.BERTH_REDIS_URL || process.env.BERTH_REDIS_URL_FILE || process.env.BERTH_REDIS__URL) return undefined;
  const found = findServer() ?? installWithApt();
  if (found) return found;
  throw Object.assign(new Error(HELP), { exitCode: 69 });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    process.stdout.write(`${obtainRedis() ?? 'BERTH_REDIS_URL is set'}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode ?? 1;
  }
}
