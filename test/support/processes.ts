// What the system knows about processes and sockets, read from /proc (Linux): black-box answers to "which worker holds this
// connection?" and "is anything left?", without asking the product that is under test.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * A process that still runs. A zombie has ended and only waits for its parent, but not while other threads of it are still on their
 * way out: its sockets stay open until the last one is gone.
 */
export function isAlive(pid: number): boolean {
  const stat = readStat(pid);
  if (stat === undefined || stat.state === 'X') return false;
  return stat.state !== 'Z' || listDir(`/proc/${pid}/task`).length > 1;
}

/** Its parent has heard that it ended, too. */
export function isReaped(pid: number): boolean {
  return !existsSync(`/proc/${pid}`);
}

/**
 * Every live process that was started with a TMPDIR below `dir` or works below it. Workers and stdio children inherit the variable
 * from the pod, the embedded Redis works in its data directory; both also when their parent died and they were re-parented: a walk
 * over the tree would miss exactly those.
 */
export function processesOf(dir: string): number[] {
  const mark = Buffer.from(`TMPDIR=${dir}/`);
  return allPids().filter((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`);
      const at = environment.indexOf(mark);
      const isMarked = at === 0 || (at > 0 && environment[at - 1] === 0);
      return (isMarked || `${linkOf(`/proc/${pid}/cwd`)}/`.startsWith(`${dir}/`)) && isAlive(pid);
    } catch {
      return false; // ended meanwhile, or another user's
    }
  });
}

/** SIGKILL; a process that has ended meanwhile is what was wanted. */
export function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export function childrenOf(pid: number): number[] {
  return allPids().filter((candidate) => readStat(candidate)?.parent === pid && isAlive(candidate));
}

/** The command line, arguments joined by blanks; '' for a process that has ended. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Which of `pids` holds the end of a TCP connection that is `local` for it and `remote` for its peer. */
export function holderOfTcp(local: Endpoint, remote: Endpoint, pids: readonly number[]): number | undefined {
  const key = `${hexEndpoint(local)} ${hexEndpoint(remote)}`;
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readLines(table)) {
      const fields = line.trim().split(/\s+/);
      if (`${ipv4Part(fields[1])} ${ipv4Part(fields[2])}` === key) return holderOfInode(fields[9], pids);
    }
  }
  return undefined;
}

/** Which of `pids` listens on the Unix socket at `path`. */
export function holderOfUnixSocket(path: string, pids: readonly number[]): number | undefined {
  for (const line of readLines('/proc/net/unix')) {
    const fields = line.trim().split(/\s+/);
    // Flags 00010000: listening. Accepted connections carry the same path.
    if (fields[7] === path && fields[3] === '00010000') return holderOfInode(fields[6], pids);
  }
  return undefined;
}

const ESTABLISHED = '01';
/** By the peer alone: CLOSE_WAIT. */
export const CLOSED_BY_PEER = '08';

/** TCP connections that a process holds; default those that it does not know to be gone: established, or closed by the peer only. */
export function tcpConnectionsOf(pid: number, states: readonly string[] = [ESTABLISHED, CLOSED_BY_PEER]): number {
  const own = new Set(listDir(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)));
  const open = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(readLines).map((line) => line.trim().split(/\s+/));
  return open.filter(([, , , state, , , , , , inode]) => states.includes(state ?? '') && own.has(`socket:[${inode}]`)).length;
}

function holderOfInode(inode: string | undefined, pids: readonly number[]): number | undefined {
  if (inode === undefined || inode === '0') return undefined;
  const holders = pids.filter((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`);
    } catch {
      return false;
    }
  });
  // Race: while the primary hands a connection over, both may hold it; then nobody is named yet and the caller asks again.
  return holders.length === 1 ? holders[0] : undefined;
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function readStat(pid: number): { state: string; parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command stands in parentheses and may hold blanks and parentheses itself.
    const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: state ?? 'X', parent: Number(parent) };
  } catch {
    return undefined;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function listDir(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}

/** `127.0.0.2:80` as the kernel prints it: bytes of the address reversed, all in upper-case hex. */
function hexEndpoint({ address, port }: Endpoint): string {
  const bytes = address
    .replace(/^::ffff:/, '')
    .split('.')
    .map(Number);
  const hex = (value: number, width: number) => value.toString(16).toUpperCase().padStart(width, '0');
  return `${bytes
    .reverse()
    .map((byte) => hex(byte, 2))
    .join('')}:${hex(port, 4)}`;
}

/** The IPv4 part of a kernel endpoint, also of an IPv4-mapped one in the IPv6 table. */
function ipv4Part(endpoint: string | undefined): string {
  const [address = '', port = ''] = (endpoint ?? '').split(':');
  return `${address.slice(-8)}:${port}`;
}
