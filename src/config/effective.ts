// The effective configuration as one could write it again: redacted, durations and sizes with their units.
import { stringify } from 'yaml';
import { listOptions } from './options.js';
import { isRecord } from './problems.js';
import { redactConfig } from './redact.js';
import type { Config } from './schema.js';
import { formatDuration, formatSize } from './units.js';

/** YAML of everything that counts, secrets replaced. */
export function effectiveYaml(config: Config, secrets: readonly string[] = []): string {
  const shown: unknown = redactConfig(config, secrets);
  for (const { path, kind } of listOptions()) {
    if (kind === 'duration') rewrite(shown, path, formatDuration);
    if (kind === 'size') rewrite(shown, path, formatSize);
  }
  return stringify(shown, { lineWidth: 0 });
}

function rewrite(value: unknown, path: readonly string[], write: (value: number) => string): void {
  const [key, ...rest] = path;
  if (key === undefined || !isRecord(value)) return;
  for (const name of key === '*' ? Object.keys(value) : [key]) {
    const inner = value[name];
    if (rest.length) rewrite(inner, rest, write);
    else if (typeof inner === 'number') value[name] = write(inner);
  }
}
