// The directory of the workers' Unix sockets: private (0700), short (the system allows about 100 bytes for the path of a socket),
// gone with the primary. What primaries left behind that were killed is swept by the next one, the processes of their backends included.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, StartError } from '../errors/start-error.js';
import { endRecordedGroups } from './group-files.js';
import { judgeProcess, type ProcessIdentity, readOwnIdentity } from './process-identity.js';

const PREFIX = 'berth-run-';
const OWNER_FILE = 'owner';
/** Bytes that the system allows for a Unix socket's path on every platform, less a reserve. */
export const MAX_SOCKET_PATH_BYTES = 100;
/** For the names of sockets inside. */
const NAME_BYTES = 30;
/** A directory without a readable owner may just be coming into being: left alone for that long, ms. */
const YOUNG_MS = 60_000;

export interface SocketDir {
  readonly path: string;
  remove(): void;
}

/**
 * @param parent default: the system's directory for temporary files
 * @throws StartError 78 if its path is too long for sockets, or nothing can be written there
 */
export function makeSocketDir(parent: string = tmpdir()): SocketDir {
  const longest = join(parent, `${PREFIX}XXXXXX`);
  if (Buffer.byteLength(longest) + 1 + NAME_BYTES > MAX_SOCKET_PATH_BYTES) {
    throw new StartError(
      EXIT.config,
      `${parent}: the path is too long for Unix sockets.\n  Set TMPDIR to a directory with a shorter path, such as /tmp.`,
    );
  }
  try {
    const path = mkdtempSync(join(parent, PREFIX));
    writeFileSync(join(path, OWNER_FILE), JSON.stringify(readOwnIdentity()), { mode: 0o600 });
    return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new StartError(
      EXIT.config,
      `${parent}: no directory for sockets can be made (${code}).\n  Set TMPDIR to one that can be written.`,
      { cause },
    );
  }
}

/**
 * Removes the directories of primaries that are provably dead, after the process groups that are written down there (group-files.ts):
 * where primary and workers were killed at once, nobody else ends them. Never fails.
 * @returns how many groups were ended
 */
export function sweepSocketDirs(parent: string = tmpdir()): number {
  let ended = 0;
  for (const name of list(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(parent, name);
    try {
      const verdict = judgeOwner(path);
      if (verdict === 'living') continue;
      if (verdict === 'dead') ended += endRecordedGroups(path);
      rmSync(path, { recursive: true, force: true });
    } catch {
      // Another user's, or removed by another primary at the same moment.
    }
  }
  return ended;
}

/** `living`: or nobody knows; `unreadable`: too old to be coming into being, but whose it was, and in which pid space, is lost. */
function judgeOwner(path: string): 'living' | 'dead' | 'unreadable' {
  const stat = statSync(path);
  if (process.getuid && stat.uid !== process.getuid()) return 'living';
  let owner: ProcessIdentity;
  try {
    owner = JSON.parse(readFileSync(join(path, OWNER_FILE), 'utf8')) as ProcessIdentity;
  } catch {
    return Date.now() - stat.mtimeMs > YOUNG_MS ? 'unreadable' : 'living';
  }
  return judgeProcess(owner) === 'dead' ? 'dead' : 'living';
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
