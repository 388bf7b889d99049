// Says in a file who holds something, so that others can tell later whether that process still lives.
import { readFileSync } from 'node:fs';
import { readStartTime } from '../lifecycle/process-group.js';
import { readPidSpace } from './host-id.js';

export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
  /** Where the pid means something: boot and pid namespace. */
  readonly pidSpace: string;
}

export function readOwnIdentity(): ProcessIdentity {
  return { pid: process.pid, startTime: readStartTime(process.pid) ?? '', pidSpace: readPidSpace() };
}

/** `unknown`: it lives, or lived, in another container or before a reboot, where its pid cannot be looked up. */
export function judgeProcess(identity: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  if (identity.pidSpace !== readPidSpace()) return 'unknown';
  return isProcessAlive(identity) ? 'alive' : 'dead';
}

/** Of a process in our own pid space. */
export function isProcessAlive({ pid, startTime }: { readonly pid: number; readonly startTime: string }): boolean {
  return readStartTime(pid) === startTime && !isZombie(pid);
}

/** A process that nobody has reaped keeps its pid and start time, but holds nothing any more. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) === 'Z';
  } catch {
    return false;
  }
}
