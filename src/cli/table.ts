// Rows as aligned columns. What comes from clients (their names) may hold anything: a terminal must not obey it.
import stringWidth from 'string-width';

/** Nothing to show. */
const NOTHING = '-';

export function formatTable(titles: readonly string[], rows: ReadonlyArray<readonly unknown[]>): string {
  const cells = [titles, ...rows.map((row) => row.map(cellText))];
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => stringWidth(row[column] ?? ''))));
  return cells
    .map(
      (row) =>
        `${row
          .map((text, i) => pad(text, widths[i] as number))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** One thing: a line for each of its facts. */
export function formatFacts(facts: Readonly<Record<string, unknown>>): string {
  const width = Math.max(...Object.keys(facts).map((name) => stringWidth(name)));
  return Object.entries(facts)
    .map(([name, value]) => `${pad(name, width)}  ${cellText(value)}\n`)
    .join('');
}

/** By the columns that a terminal gives it: wide characters take two. */
const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - stringWidth(text)));

export function cellText(value: unknown): string {
  if (value === null || value === undefined || value === '') return NOTHING;
  if (Array.isArray(value)) return value.length ? value.map(cellText).join(', ') : NOTHING;
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** How long ago, as one reads it: 12s, 5m, 3h, 2d. */
export function ageText(since: unknown, nowMs: number): string {
  const ms = typeof since === 'string' ? nowMs - Date.parse(since) : Number.NaN;
  if (!Number.isFinite(ms)) return NOTHING;
  return spanText(Math.max(0, ms) / 1000);
}

export function spanText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)}s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`;
}
