// Process groups that can be ended after a pid may have been used again: a group is named by its leader's pid and start time.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessGroup {
  /** Of the leader; also the id of the group. */
  readonly pid: number;
  /** As `readStartTime` told it right after the start. */
  readonly startTime: string;
}

/**
 * When a process was started, in the system's own words (Linux: ticks since boot). A zombie still has one.
 * @returns undefined if there is no such process
 */
export function readStartTime(pid: number): string | undefined {
  return process.platform === 'linux' ? readProcStartTime(pid) : readPsStartTime(pid);
}

function readProcStartTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // Field 2 is the command in parentheses and may hold blanks and parentheses itself; field 22 is counted from behind it.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function readPsStartTime(pid: number): string | undefined {
  try {
    const told = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'], timeout: 2000 });
    return told.toString('utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/**
 * Sends a signal to every process of the group, or to the one process if it leads no group.
 *
 * Race: the leader may have ended while others of its group live on, so a missing leader does not stop the signal. The system gives a
 * pid to nobody else while a group of that id exists; a pid with another start time was given anew, so our group is gone.
 * @returns false if nothing was signalled: the group is gone, or the pid is somebody else's by now
 */
export function killGroup(group: ProcessGroup, signal: NodeJS.Signals): boolean {
  // 0 and -1 mean "my own group" and "everybody" to kill(2).
  if (!Number.isInteger(group.pid) || group.pid <= 1) return false;
  const startTime = readStartTime(group.pid);
  if (startTime !== undefined && startTime !== group.startTime) return false;
  return send(-group.pid, signal) || (startTime !== undefined && send(group.pid, signal));
}

/** Whether a process of the group is left; zombies that nobody has reaped count. */
export function isGroupAlive(group: ProcessGroup): boolean {
  if (!Number.isInteger(group.pid) || group.pid <= 1) return false;
  const startTime = readStartTime(group.pid);
  if (startTime !== undefined && startTime !== group.startTime) return false;
  return send(-group.pid, 0);
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    // A process that is not ours to signal is there all the same.
    return signal === 0 && (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
