// Plots as SVG, written by hand: bars and lines need no library.

const WIDTH = 860;
const LEFT = 330;
const ROW = 26;
const COLOURS = { aim: '#2e7d32', met: '#1565c0', MISSED: '#c62828', void: '#9e9e9e' };
const plain = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;');
export const text = (x, y, content, more = '') => `<text x="${x}" y="${y}" ${more}>${plain(content)}</text>`;
export const svg = (width, height, title, parts) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">
<title>${plain(title)}</title>
<rect width="100%" height="100%" fill="white"/>
${parts.join('\n')}
</svg>
`;

/** Each budget as a bar whose length is its share of the bound: left of the line it is met. */
export function plotBudgets(ratios) {
  const judged = ratios.filter(({ must }) => must !== undefined);
  const share = ({ must, isLeast }, value) => Math.min(2, isLeast ? must / value : value / must);
  const x = (part) => LEFT + part * ((WIDTH - LEFT - 90) / 2);
  const bottom = 40 + judged.length * ROW;
  const parts = judged.flatMap((ratio, index) => {
    const y = 40 + index * ROW;
    const [from, to] = [share(ratio, ratio.low), share(ratio, ratio.high)].map(x).sort((a, b) => a - b);
    return [
      text(LEFT - 8, y + 12, `${ratio.id}  ${ratio.label}`, 'text-anchor="end"'),
      `<rect x="${LEFT}" y="${y}" width="${(x(share(ratio, ratio.value)) - LEFT).toFixed(1)}" height="16" fill="${COLOURS[ratio.verdict]}"/>`,
      `<line x1="${from.toFixed(1)}" x2="${to.toFixed(1)}" y1="${y + 8}" y2="${y + 8}" stroke="black"/>`,
      text(WIDTH - 84, y + 12, `${ratio.value.toPrecision(3)} (${ratio.isLeast ? '≥' : '≤'} ${ratio.must})`),
    ];
  });
  const title = 'Share of each bound that is used; the line is the bound, the stroke the range over the rounds';
  parts.unshift(text(12, 22, title));
  parts.push(`<line x1="${x(1)}" x2="${x(1)}" y1="32" y2="${bottom}" stroke="black" stroke-dasharray="4 3"/>`);
  return svg(WIDTH, bottom + 12, title, parts);
}

/** p50 and p99 over the number of live sessions, both of the subject that grows and of the one beside it. */
export function plotGrowth(summary) {
  const rows = summary.filter(({ kind, subject }) => kind === 'growth' && !subject.endsWith('-again'));
  const most = Math.max(...rows.map(({ p99 }) => p99)) * 1.1;
  const sizes = [...new Set(rows.map(({ at }) => at))].sort((a, b) => a - b);
  const x = (size) => 60 + ((Math.log10(size) - 1) / Math.max(1, Math.log10(sizes.at(-1)) - 1)) * 560;
  const y = (ms) => 300 - (ms / most) * 250;
  const lines = ['growing', 'owner'].flatMap((subject) =>
    ['p50', 'p99'].map((figure) => {
      const own = rows.filter((row) => row.subject === subject).sort((a, b) => a.at - b.at);
      const points = own.map((row) => `${x(row.at).toFixed(1)},${y(row[figure]).toFixed(1)}`).join(' ');
      const [colour, label] = subject === 'growing' ? ['#1565c0', 'live sessions as below'] : ['#9e9e9e', '64 live sessions'];
      const last = own.at(-1);
      return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>${text(628, y(last[figure]) + 4, `${figure}, ${label}`)}`;
    }),
  );
  const title = 'Milliseconds of a call over the number of live sessions, 16 connections';
  const axes = [
    `<path d="M60 40V300H620" fill="none" stroke="black"/>`,
    ...sizes.map((size) => text(x(size), 318, size, 'text-anchor="middle"')),
    ...[0, most / 2, most].map((ms) => text(54, y(ms) + 4, ms.toFixed(1), 'text-anchor="end"')),
    text(12, 24, title),
  ];
  return svg(800, 330, title, [...axes, ...lines]);
}
