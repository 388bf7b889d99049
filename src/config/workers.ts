// How many workers `auto` means.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Config } from './schema.js';

const MOST = 8;

export interface Machine {
  readonly cores: number;
  /** CPUs that the control group may use; undefined: no limit known. */
  readonly quota: number | undefined;
}

// Node 20 does not count the quota of a container into availableParallelism: eight workers on half a CPU would starve.
function readQuota(): number | undefined {
  try {
    const [quota, period] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').trim().split(' ').map(Number);
    return quota && period ? quota / period : undefined;
  } catch {
    return undefined;
  }
}

export const readMachine = (): Machine => ({ cores: availableParallelism(), quota: readQuota() });

/** The number of workers: as configured, or the smallest of cores, CPU quota (rounded up) and 8, at least 1. */
export function resolveWorkers(config: Pick<Config, 'workers'>, machine: Machine = readMachine()): number {
  if (config.workers !== 'auto') return config.workers;
  return Math.max(1, Math.min(machine.cores, Math.ceil(machine.quota ?? machine.cores), MOST));
}
