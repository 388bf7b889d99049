// The table that is printed, and the numbers of the JSON file.

/** What an earlier fault caused may last so long after its end. */
const AFTER_MS = 6000;

/**
 * @param times of the probes; @param faults with their times, stalls among them
 * @returns by kind of fault: `{ alone, all }` with `{ count, p50, p99, max }` in ms; `alone`: no other fault was under way
 */
export function makeTakeovers(times, faults) {
  const byKind = {};
  for (const time of times) byKind[time.kind] = [...(byKind[time.kind] ?? []), time];
  return Object.fromEntries(
    Object.entries(byKind).map(([kind, list]) => [
      kind,
      { alone: quantiles(list.filter((time) => !isDisturbed(time, faults))), all: quantiles(list) },
    ]),
  );
}

function isDisturbed({ startMs, ms }, faults) {
  const others = faults.filter((fault) => fault.startMs !== startMs);
  return others.some((fault) => fault.startMs < startMs + ms && (fault.endMs ?? Number.POSITIVE_INFINITY) + AFTER_MS > startMs);
}

function quantiles(times) {
  const sorted = times.map(({ ms }) => ms).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const quantile = (q) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]);
  return { count: sorted.length, p50: quantile(0.5), p99: quantile(0.99), max: Math.round(sorted.at(-1)) };
}

export function makeText(result) {
  const faults = Object.entries(result.faults).map(([kind, count]) => `${kind} ${count}`);
  const rows = [
    ['seed', `${result.seed}   (npm run chaos -- --seed ${result.seed} --minutes ${result.minutes}${result.only})`],
    ['faults', `${faults.join(', ') || 'none'}; ${result.skipped} skipped`],
    ['calls', `${result.calls} in ${result.sessions} sessions, ${result.streams} GET streams`],
    ['ok', `${result.ok} (${((result.ok / result.calls) * 100).toFixed(2)} %)`],
    ...Object.entries(result.failures).map(([kind, count]) => [`  ${kind}`, count]),
    ['outcome unknown', `${result.unknown.ran} had run, ${result.unknown.didNot} had not`],
    ['ran twice', result.duplicates],
    ['wrong answers', result.wrong],
    ['lost sessions', `${result.lostSessions} of http`],
    ['backend sessions', `${result.backendSessions}, leaked ${result.leaked}, orphaned unused ${result.orphaned}`],
    ['workers died', `${result.deaths.ours} by us, ${result.deaths.own} by themselves`],
    ['stalls', `${result.stalls} times a worker got no processor for a second`],
    ['longest call', result.longest ? `${(result.longest.ms / 1000).toFixed(1)} s: ${result.longest.what}` : '-'],
  ];
  const times = Object.entries(result.takeovers).flatMap(([kind, { alone, all }]) => [
    ...(alone ? [[kind, ...Object.values(alone)]] : []),
    [`${kind}, with others`, ...Object.values(all)],
  ]);
  const verdict = result.breaches.length === 0 ? 'every invariant held' : 'INVARIANTS BROKEN';
  return [
    grid(rows),
    '',
    'from the fault to the first good answer of a session whose owner was hit (ms)',
    grid([['fault', 'samples', 'p50', 'p99', 'max'], ...times], true),
    '',
    verdict,
    ...result.breaches.flatMap(({ what, count, examples }) => [
      `  ${count} × ${what}`,
      ...examples.map((text) => `      ${text}`),
    ]),
  ].join('\n');
}

function grid(lines, right = false) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => String(line[column]).length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => (right && i > 0 ? String(cell).padStart(widths[i]) : String(cell).padEnd(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
