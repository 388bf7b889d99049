// Which workers died, by what their primaries logged: those that we killed, and those that nobody should have.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @returns `{ ours, own, lines }`; the lines are those of deaths that no fault explains */
export function countDeaths(dir, places, faults) {
  const ours = new Set(faults.flatMap(({ kind, pids }) => (kind === 'pause' ? [] : pids)));
  const lines = [];
  for (const [i] of places.entries()) {
    const file = join(dir, `pod-${i + 1}`, 'log.jsonl');
    if (!existsSync(file)) continue;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (!line.includes('a worker died') && !line.includes('a worker ended without')) continue;
      const { pid } = JSON.parse(line);
      if (!ours.has(pid)) lines.push(line);
    }
  }
  return { ours: ours.size, own: lines.length, lines };
}
