// Durations and sizes: text with a unit in, milliseconds and bytes out, and back for `berth check`.
import { z } from 'zod';

const MS = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
const BYTES = { MiB: 1024 * 1024, KiB: 1024, B: 1 } as const;

// Node's timers fire at once beyond 2^31-1 ms: a longer "limit" would be none.
const LONGEST_MS = 2 ** 31 - 1;

interface Bounds {
  /** Smallest value that works, same notation. */
  readonly min?: string;
  readonly max?: string;
}

/** Milliseconds of `500ms`, `5s`, `2m`, `2h`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  return match ? Math.round(Number(match[1]) * MS[match[2] as keyof typeof MS]) : undefined;
}

/** Bytes of `512B`, `64KiB`, `4MiB`; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+)(B|KiB|MiB)$/.exec(text);
  return match ? Number(match[1]) * BYTES[match[2] as keyof typeof BYTES] : undefined;
}

const write = (value: number, units: Readonly<Record<string, number>>): string => {
  for (const [unit, factor] of Object.entries(units))
    if (value >= factor && value % factor === 0) return `${value / factor}${unit}`;
  return `${value}${Object.keys(units).at(-1)}`;
};

/** The shortest exact way to write milliseconds: 7 200 000 is `2h`. */
export const formatDuration = (ms: number): string => (ms === 0 ? '0s' : write(ms, MS));

/** The shortest exact way to write bytes. */
export const formatSize = (bytes: number): string => write(bytes, BYTES);

function measure(
  unit: 'duration' | 'size',
  expected: string,
  parse: (text: string) => number | undefined,
  fallback: string,
  bounds: Bounds,
) {
  return z
    .string({ error: expected })
    .default(fallback)
    .transform((text, ctx) => {
      const value = parse(text);
      const fail = (message: string) => {
        ctx.addIssue({ code: 'custom', message });
        return z.NEVER;
      };
      if (value === undefined) return fail(expected);
      if (bounds.min && value < (parse(bounds.min) as number)) return fail(`expected at least ${bounds.min}, got "${text}"`);
      if (bounds.max && value > (parse(bounds.max) as number)) return fail(`expected at most ${bounds.max}, got "${text}"`);
      if (unit === 'duration' && value > LONGEST_MS) return fail(`expected at most 596h, got "${text}"`);
      return value;
    })
    .meta({ unit });
}

/** An option in milliseconds, written `500ms`, `5s`, `2m`, `2h`. A bare number is an error: its unit would be a guess. */
export const duration = (fallback: string, bounds: Bounds = {}) =>
  measure('duration', 'expected a duration such as "500ms", "5s" or "2h"', parseDuration, fallback, bounds);

/** An option in bytes, written `512B`, `64KiB`, `4MiB`. A bare number is an error. */
export const size = (fallback: string, bounds: Bounds = {}) =>
  measure('size', 'expected a size such as "64KiB" or "4MiB"', parseSize, fallback, bounds);
