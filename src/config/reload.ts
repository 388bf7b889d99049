// What a reload may change while the gateway runs. Everything else keeps its value until a restart, so an option is only applied in
// place where its documentation says so (`reload: 'live'` in the schema): one that somebody captured at the start would be a lie.
import { isDeepStrictEqual } from 'node:util';
import { listOptions } from './options.js';
import { isRecord } from './problems.js';
import type { Config } from './schema.js';

export interface Reloaded {
  /** What is in force from now on. */
  readonly config: Config;
  /** Options that were changed in the file and keep their value, by name. */
  readonly kept: readonly string[];
  /** Options that have another value from now on, by name; of backends and virtual servers only the word. */
  readonly applied: readonly string[];
}

/** @param running in force · @param loaded read from the file, as a start would */
export function reloadConfig(running: Config, loaded: Config): Reloaded {
  const config = toJson(running);
  const next = toJson(loaded);
  const kept: string[] = [];
  const applied: string[] = [];
  for (const { path, doc } of listOptions()) {
    // Of what is made of names chosen by the user, the whole decides.
    if (path.includes('*')) continue;
    const [before, after] = [valueAt(config, path), valueAt(next, path)];
    // Texts, not values: the order of backends and virtual servers is theirs to decide.
    if (JSON.stringify(before) === JSON.stringify(after)) continue;
    const name = path.join('.');
    if (doc.reload !== 'live') {
      if (!isDeepStrictEqual(before, after)) kept.push(name);
      continue;
    }
    setAt(config, path, after);
    applied.push(name);
  }
  return { config: config as Config, kept, applied };
}

/** As the workers get it: an option that is undefined and one that is absent are the same. */
function toJson(config: Config): Config {
  return JSON.parse(JSON.stringify(config)) as Config;
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), root);
}

function setAt(root: unknown, path: readonly string[], value: unknown): void {
  const holder = valueAt(root, path.slice(0, -1));
  const key = path.at(-1) as string;
  if (!isRecord(holder)) return;
  if (value === undefined) delete holder[key];
  else holder[key] = value;
}
