// What the bench reads from /proc: CPU time of processes, their children, and who holds a connection.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** USER_HZ: 100 on every Linux that Node runs on. */
const MICROS_PER_TICK = 10_000;
/** As /proc/net/tcp has it. */
const ESTABLISHED = '01';

/** User and system time of these processes so far, all their threads, in µs. */
export function cpuMicros(pids) {
  let micros = 0;
  for (const pid of pids) micros += scheduledMicros(pid) ?? tickMicros(pid);
  return micros;
}

/** What the scheduler counts is exact; ticks are 10 ms each, too coarse for short turns. Undefined where the kernel does not count. */
function scheduledMicros(pid) {
  try {
    let nanos = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ', 1)[0]);
    }
    return nanos > 0 ? nanos / 1000 : undefined;
  } catch {
    return undefined;
  }
}

function tickMicros(pid) {
  const fields = statOf(pid);
  return fields ? (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK : 0;
}

export function childrenOf(pid) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(statOf(name)?.[1]) === pid)
    .map(Number);
}

export function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Ended, or a zombie of which only the entry is left. */
export function isGone(pid) {
  const state = statOf(pid)?.[0];
  return state === undefined || state === 'X' || state === 'Z';
}

/** Live processes that were started with a TMPDIR below `dir`: also those whose parent has died, which a walk over the tree misses. */
export function processesUnder(dir) {
  const mark = `TMPDIR=${dir}/`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return (
          !isGone(pid) &&
          readFileSync(`/proc/${pid}/environ`, 'latin1')
            .split('\0')
            .some((entry) => entry.startsWith(mark))
        );
      } catch {
        return false;
      }
    });
}

/** Which of `pids` holds the accepted end of this client socket; undefined while it is handed over. */
export function holderOf(socket, pids) {
  const key = `${hex(socket.remoteAddress, socket.remotePort)} ${hex(socket.localAddress, socket.localPort)}`;
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (`${fields[1]} ${fields[2]}` !== key || fields[9] === '0') continue;
    const holders = pids.filter((pid) => holdsInode(pid, fields[9]));
    return holders.length === 1 ? holders[0] : undefined;
  }
  return undefined;
}

/** Descriptors that a process has open. */
export function openFiles(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Connections of this machine to a port of its own, as their clients have them. */
export function connectionsTo(port) {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  return lines.filter((line) => {
    const [, , remote, state] = line.trim().split(/\s+/);
    return remote?.endsWith(wanted) && state === ESTABLISHED;
  }).length;
}

function holdsInode(pid, inode) {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
    } catch {
      return false;
    }
  });
}

/** Fields after the command, which stands in parentheses: [0] state, [1] parent, [11] user time, [12] system time. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** As the kernel prints it: bytes of the address reversed, upper-case hex. */
function hex(address, port) {
  const digits = (value, width) => value.toString(16).toUpperCase().padStart(width, '0');
  const bytes = address.split('.').map(Number).reverse();
  return `${bytes.map((byte) => digits(byte, 2)).join('')}:${digits(port, 4)}`;
}

/** Memory of a process in RAM. */
export function rssBytes(pid) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
