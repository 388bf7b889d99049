// Which process groups a worker has started, written down where it outlives worker and primary: one empty file each, beside the
// sockets, whose name says it all. What the channel to the primary says (messages.ts) may be lost with a worker that is killed, and
// both may be killed at once; whoever finds a file ends its group. No file holds a command, an argument or a variable.
import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { killGroup } from '../lifecycle/process-group.js';
import type { StdioGroup } from './messages.js';

/** `group.<pid of the worker>.<pid of the leader>.<its start time, encoded>` */
const FILE = /^group\.(\d+)\.(\d+)\.(.+)$/;

const nameOf = (worker: number, { pid, startTime }: StdioGroup) => `group.${worker}.${pid}.${encodeURIComponent(startTime)}`;

export interface GroupFiles {
  /**
   * Synchronous: it is on disk before anything is written to a child that was just started. Race: a worker that is killed between
   * spawn() and this line leaves a child that nobody knows of; it ends only by itself, when its stdin closes.
   */
  note(group: StdioGroup, alive: boolean): void;
}

/**
 * @param dir the socket directory
 * @param worker pid of this worker
 * @param onError the directory cannot be written (any more); told once
 */
export function makeGroupFiles(dir: string, worker: number, onError: (code: string) => void): GroupFiles {
  let isTold = false;
  return {
    note(group, alive) {
      // Without a start time nobody could tell it from a later process of the same pid.
      if (group.startTime === '') return;
      const path = join(dir, nameOf(worker, group));
      try {
        if (alive) closeSync(openSync(path, 'w', 0o600));
        else rmSync(path, { force: true });
      } catch (error) {
        if (!isTold) onError(String((error as NodeJS.ErrnoException).code));
        isTold = true;
      }
    },
  };
}

/**
 * Ends, by SIGKILL, the groups that were written down and removes their files. Never fails.
 * @param worker pid of the worker that had them; default: all
 * @returns how many were signalled
 */
export function endRecordedGroups(dir: string, worker?: number): number {
  let ended = 0;
  for (const name of list(dir)) {
    const [, owner, pid, startTime] = FILE.exec(name) ?? [];
    if (owner === undefined || pid === undefined || startTime === undefined) continue;
    if (worker !== undefined && Number(owner) !== worker) continue;
    if (killGroup({ pid: Number(pid), startTime: decode(startTime) }, 'SIGKILL')) ended++;
    rmSync(join(dir, name), { force: true });
  }
  return ended;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
