// The series of a soak as small plots, one below the other, each on a scale of its own from zero.
import { svg, text } from '../bench/plot.mjs';

const WIDTH = 900;
const LEFT = 300;
const RIGHT = 110;
const ROW = 44;
const HEIGHT = 34;
const COLOURS = { flat: '#1565c0', grows: '#c62828', 'too few': '#9e9e9e' };

/**
 * @param samples as judgeSeries has them; @param series its verdicts; @param fromSeconds where the warm-up ends
 * @param show `(kind, value) => text`
 */
export function plotSoak(samples, series, fromSeconds, show) {
  const until = Math.max(1, samples.at(-1).seconds);
  const x = (seconds) => LEFT + (seconds / until) * (WIDTH - LEFT - RIGHT);
  const parts = series.flatMap(({ name, kind, verdict }, index) => {
    const top = 40 + index * ROW;
    const points = samples.flatMap(({ seconds, values }) => (values[name] ? [[seconds, values[name].value]] : []));
    const most = Math.max(1, ...points.map(([, value]) => value));
    const line = points.map(
      ([seconds, value]) => `${x(seconds).toFixed(1)},${(top + HEIGHT - (value / most) * HEIGHT).toFixed(1)}`,
    );
    return [
      text(LEFT - 8, top + 21, name, 'text-anchor="end"'),
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${top + HEIGHT}" y2="${top + HEIGHT}" stroke="#ccc"/>`,
      `<polyline points="${line.join(' ')}" fill="none" stroke="${COLOURS[verdict]}" stroke-width="1.5"/>`,
      text(WIDTH - RIGHT + 8, top + 21, `${show(kind, points.at(-1)?.[1] ?? 0)}`),
    ];
  });
  const bottom = 40 + series.length * ROW;
  parts.push(
    `<line x1="${x(fromSeconds)}" x2="${x(fromSeconds)}" y1="32" y2="${bottom}" stroke="black" stroke-dasharray="4 3"/>`,
  );
  const title = `A soak of ${(until / 60).toFixed(0)} minutes; left of the line is the warm-up`;
  return svg(WIDTH, bottom + 12, title, [text(12, 22, title), ...parts]);
}
