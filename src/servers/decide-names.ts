// The names under which clients see tools and prompts: a pure function of what is exposed, so that every worker decides alike, and
// independent of the order in which catalogs were read.
import { createHash } from 'node:crypto';
import { SEPARATOR, type ToolName } from './tool-filter.js';
import type { PrefixMode } from './virtual-server.js';

const MAX_LENGTH = 128;
const FOREIGN = /[^A-Za-z0-9_.-]/gu;

// How far a name has been moved from the backend's own, to make it unique.
const OWN = 0;
const PREFIXED = 1;
const HASHED = 2;

/**
 * For each of `tools` the name to expose, all different; undefined for one that is hidden by another of the same name (`never`).
 * Own names stay as the backend gave them; names that we make keep to `A-Za-z0-9_.-` and 128 characters.
 *
 * Where several share a name, all move on to the next form. If one of them has that name only by an earlier move (`a__x` made
 * from `x` of `a`, while `c` has a tool that is really called `a__x`), only those that have moved least go on: so no backend
 * can take a name over by guessing how we make ours.
 */
export function decideNames(tools: readonly ToolName[], prefix: PrefixMode): Array<string | undefined> {
  const firstLevel: number = prefix === 'always' ? PREFIXED : OWN;
  const names: Array<string | undefined> = tools.map((tool) => nameAt(tool, firstLevel));
  const levels = tools.map(() => firstLevel);
  for (;;) {
    let moved = false;
    for (const sharing of groupByName(names)) {
      const least = sharing.reduce((lowest, index) => Math.min(lowest, levels[index] ?? HASHED), HASHED);
      // Only with `never`, or if two hashes are the same: the first one has the name, for good.
      if (prefix === 'never' || least === HASHED) {
        for (const index of sharing.slice(1)) names[index] = undefined;
        continue;
      }
      for (const index of sharing) {
        if (levels[index] !== least) continue;
        levels[index] = least + 1;
        names[index] = nameAt(tools[index] as ToolName, least + 1);
        moved = true;
      }
    }
    if (!moved) return names;
  }
}

/** Indexes that share a name, where there is more than one. */
function groupByName(names: ReadonlyArray<string | undefined>): number[][] {
  const first = new Map<string, number>();
  const shared = new Map<string, number[]>();
  names.forEach((name, index) => {
    if (name === undefined) return;
    const earlier = first.get(name);
    if (earlier === undefined) {
      first.set(name, index);
      return;
    }
    const group = shared.get(name);
    if (group) group.push(index);
    else shared.set(name, [earlier, index]);
  });
  return [...shared.values()];
}

function nameAt(tool: ToolName, level: number): string {
  if (level === OWN) return tool.name;
  const full = `${tool.backend}${SEPARATOR}${tool.name}`;
  const clean = full.replace(FOREIGN, '_');
  if (level === PREFIXED && clean === full && full.length <= MAX_LENGTH) return full;
  // What was cut or replaced told names apart: a hash of the whole does it instead.
  const hash = createHash('sha256')
    .update(`${tool.backend}\0${tool.name}`)
    .digest('hex')
    .slice(0, level === PREFIXED ? 8 : 16);
  return `${clean.slice(0, MAX_LENGTH - hash.length - 1)}_${hash}`;
}
