// At most one primary at a time runs a Redis on a data directory: two writers would destroy the append-only file.
//
// The guard is a chain of files `guard.<n>`; whoever holds the highest one holds the directory, and n + 1 is made by link(), which
// exactly one of several starters can do. Race: a lock file that is removed and made again lets a slow starter remove the file of
// its faster rival. Here nobody ever removes the highest file, not even to give it up (it is marked instead), so a starter that acts
// on old knowledge makes a file that is not the highest, sees that, and steps back.
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, StartError } from '../errors/start-error.js';
import { judgeProcess, type ProcessIdentity, readOwnIdentity } from './process-identity.js';
import { pingSocket } from './redis-socket.js';

/** The Redis that was started under a guard: what outlived its primary is found by it. */
export interface GuardedRedis {
  readonly socket: string;
  readonly pid?: number;
  readonly startTime?: string;
}

interface GuardRecord {
  readonly owner: ProcessIdentity;
  readonly released: boolean;
  readonly redis?: GuardedRedis;
}

export interface DataDirGuard {
  /** The Redis of the holder before us, which may have outlived it. */
  readonly previousRedis: GuardedRedis | undefined;
  /** Writes down the Redis that is about to be started, or was. */
  record(redis: GuardedRedis): void;
  release(): void;
}

const FILE = /^guard\.(\d+)$/;
const PING_MS = 1000;

/**
 * Takes the data directory for this process; makes it (0700) if there is none.
 * @throws StartError 69 if a living primary holds it, 78 if it cannot be written
 */
export async function takeDataDir(dataDir: string): Promise<DataDirGuard> {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    for (;;) {
      const taken = await tryToTake(dataDir);
      if (taken) return taken;
    }
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new StartError(
      EXIT.config,
      `dataDir: ${dataDir} cannot be used (${code}).\n  Make it writable for this user, or set dataDir to another directory.`,
      { cause },
    );
  }
}

/** @returns undefined if another starter was faster: look again */
async function tryToTake(dataDir: string): Promise<DataDirGuard | undefined> {
  const highest = readHighest(dataDir);
  const previous = highest > 0 ? readRecord(fileOf(dataDir, highest)) : undefined;
  if (highest > 0 && previous === undefined) return undefined;
  if (previous && !previous.released) await refuseIfHeld(dataDir, previous);

  const number = highest + 1;
  const own: GuardRecord = { owner: readOwnIdentity(), released: false, ...(previous?.redis ? { redis: previous.redis } : {}) };
  if (!create(dataDir, number, own)) return undefined;
  if (readHighest(dataDir) !== number) {
    // Ours is an old number that somebody had removed meanwhile; nobody looks at it.
    rmSync(fileOf(dataDir, number), { force: true });
    return undefined;
  }
  for (const old of listNumbers(dataDir)) if (old < number) rmSync(fileOf(dataDir, old), { force: true });

  let redis = own.redis;
  return {
    previousRedis: previous?.redis,
    record(started) {
      redis = started;
      replace(dataDir, number, { owner: own.owner, released: false, redis });
    },
    release() {
      replace(dataDir, number, { owner: own.owner, released: true });
    },
  };
}

async function refuseIfHeld(dataDir: string, { owner, redis }: GuardRecord): Promise<void> {
  const verdict = judgeProcess(owner);
  if (verdict === 'dead') return;
  if (verdict === 'alive') {
    throw new StartError(
      EXIT.unavailable,
      `dataDir: ${dataDir} is in use by another gateway (pid ${owner.pid}).\n  Stop that one, or set dataDir to another directory.`,
    );
  }
  // A pid of another container says nothing here; a socket in a directory that both see does.
  if (redis && (await pingSocket(redis.socket, PING_MS)) !== 'absent') {
    throw new StartError(
      EXIT.unavailable,
      `dataDir: ${dataDir} is in use by a gateway in another container (its Redis answers at ${redis.socket}).\n  Stop that one, or set dataDir to another directory.`,
    );
  }
}

const fileOf = (dataDir: string, number: number) => join(dataDir, `guard.${number}`);

function listNumbers(dataDir: string): number[] {
  return readdirSync(dataDir).flatMap((name) => {
    const match = FILE.exec(name);
    return match ? [Number(match[1])] : [];
  });
}

const readHighest = (dataDir: string) => Math.max(0, ...listNumbers(dataDir));

/** What a power failure cut short: its owner did not survive that either. */
const UNREADABLE: GuardRecord = { owner: { pid: 0, startTime: '', pidSpace: '' }, released: false };

/** @returns undefined if it was removed meanwhile: there is a higher one */
function readRecord(file: string): GuardRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as GuardRecord;
  } catch (error) {
    if (error instanceof SyntaxError) return UNREADABLE;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @returns false if there already is a guard of that number */
function create(dataDir: string, number: number, record: GuardRecord): boolean {
  const draft = writeDraft(dataDir, record);
  try {
    // A link shows the whole file at once, or nothing.
    linkSync(draft, fileOf(dataDir, number));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function replace(dataDir: string, number: number, record: GuardRecord): void {
  renameSync(writeDraft(dataDir, record), fileOf(dataDir, number));
}

function writeDraft(dataDir: string, record: GuardRecord): string {
  const draft = join(dataDir, `.guard-${process.pid}-${randomBytes(6).toString('hex')}`);
  writeFileSync(draft, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  return draft;
}
