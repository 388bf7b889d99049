// Finds a redis-server (or valkey-server), installs one with apt where it may, else says what to run. Plain Node: runs before
// any package is installed. As a program: `node scripts/obtain-redis.mjs` prints the path, or exits with 69.
import { pathToFileURL } from 'node:url';
import { obtainProgram } from './obtain-program.mjs';

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

/**
 * The path of a server program; undefined if BERTH_REDIS_URL names a running Redis.
 * @throws Error with exitCode 69 and a message that says what to run
 */
export function obtainRedis() {
  if (process.env.BERTH_REDIS_URL || process.env.BERTH_REDIS_URL_FILE || process.env.BERTH_REDIS__URL) return undefined;
  return obtainProgram(NAMES, HELP);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    process.stdout.write(`${obtainRedis() ?? 'BERTH_REDIS_URL is set'}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode ?? 1;
  }
}
