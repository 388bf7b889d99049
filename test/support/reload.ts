// Rewrites the configuration of a running pod and has it read again.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LogLine } from './log-ring.js';
import { type Pod, tail } from './pod.js';
import { waitFor } from './wait-for.js';

/** What a reload has ended with. */
export const OUTCOMES = {
  applied: 'configuration applied',
  unchanged: 'SIGHUP: nothing to apply, the configuration is as it was',
  refused: 'the changed configuration is refused: nothing was applied',
  failed: 'the changed configuration was applied by no worker, since not all could',
} as const;

type Json = Record<string, unknown>;

export function fileOf(pod: Pod): string {
  return join(pod.dir, 'berth.json');
}

/** In one step, as editors and ConfigMaps do. */
export function rewrite(pod: Pod, change: (config: Json & { mcpServers: Record<string, Json> }) => void): void {
  const config = JSON.parse(readFileSync(fileOf(pod), 'utf8'));
  change(config);
  writeText(pod, JSON.stringify(config, undefined, 2));
}

export function writeText(pod: Pod, text: string): void {
  const beside = `${fileOf(pod)}.new`;
  writeFileSync(beside, text);
  renameSync(beside, fileOf(pod));
}

export function linesOf(pod: Pod, outcome: keyof typeof OUTCOMES): LogLine[] {
  return pod.logs().filter(({ msg }) => msg === OUTCOMES[outcome]);
}

/** One more line of that outcome than before, after `trigger`. */
export async function untilReload(pod: Pod, outcome: keyof typeof OUTCOMES, trigger: () => void): Promise<LogLine> {
  const before = linesOf(pod, outcome).length;
  trigger();
  return waitFor(
    () => `the log to say "${OUTCOMES[outcome]}":\n${tail(pod, 30)}`,
    () => linesOf(pod, outcome)[before],
    20_000,
  );
}

/** Rewrites, sends SIGHUP and waits until it is in force. */
export function reload(pod: Pod, change: Parameters<typeof rewrite>[1]): Promise<LogLine> {
  return untilReload(pod, 'applied', () => {
    rewrite(pod, change);
    pod.signal('SIGHUP');
  });
}

/** `startPod` waits for one worker; until all are there, a reload reaches the others as part of their start. */
export async function untilAllWork(pod: Pod): Promise<void> {
  await waitFor(
    () => `all workers to be ready:\n${tail(pod)}`,
    () => pod.logs().some(({ msg }) => msg === 'ready'),
    45_000,
  );
}
