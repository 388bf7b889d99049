// Where the time of a request goes: reads what `npm run bench -- --profile DIR` wrote, prints the share of each kind of code side by side
// for all subjects and how long it took in all, and draws a flame graph of each. Idle time is left out. Run: node scripts/bench/where.mjs DIR [--out DIR]
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { svg } from './plot.mjs';

const WIDTH = 1200;
const ROW = 17;
/** Of the whole: narrower than that a frame cannot be seen. */
const LEAST_SHARE = 0.002;
const CHARACTER = 6.6;
const IDLE = new Set(['(idle)', '(root)']);
/** The first that fits. What V8 calls `(program)` is native code without a JavaScript frame. */
const KINDS = [
  ['native code: the event loop, reads, parsing HTTP', ({ functionName }) => functionName === '(program)'],
  ['garbage collection (this thread)', ({ functionName }) => functionName === '(garbage collector)'],
  [
    'writes to sockets',
    ({ functionName, url }) => url === '' && /^write(?:v|Utf8String|Latin1String|Buffer)$/.test(functionName),
  ],
  ['HTTP server (node:http)', ({ url }) => /node:_?http/.test(url)],
  ['streams, events, timers of node', ({ url }) => isNode(url)],
  ['HTTP client (undici)', ({ url }) => url.includes('/node_modules/undici/') || url.startsWith('wasm:')],
  ['log, metrics', ({ url }) => /\/node_modules\/(?:pino|prom-client|sonic-boom)|\/dist\/observability\/|request-log/.test(url)],
  ['Redis client', ({ url }) => /\/node_modules\/(?:ioredis|bullmq|redis-)/.test(url)],
  ['other libraries', ({ url }) => url.includes('/node_modules/')],
  ['the hop', ({ url }) => url.includes('/dist/forward/')],
  ['calls to backends', ({ url }) => url.includes('/dist/backends/')],
  ['edge, authentication', ({ url }) => /\/dist\/(?:edge|auth)\//.test(url)],
  ['routing, sessions, streams', ({ url }) => /\/dist\/(?:routing|sessions|streams|eras|servers|protocol)\//.test(url)],
  ['the program itself', ({ url }) => url.includes('/scripts/bench/') || url.includes('/dist/')],
  ['built-in functions of V8', () => true],
];
const isNode = (url) => url.startsWith('node:');
const plain = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const colourOf = (kind) => `hsl(${(KINDS.findIndex(([one]) => one === kind) * 360) / KINDS.length} 70% 75%)`;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { out: { type: 'string' } } });
const [root] = positionals;
if (root === undefined) {
  process.stderr.write(
    'usage: node scripts/bench/where.mjs DIR [--out DIR]; DIR is what `npm run bench -- --profile DIR` wrote\n',
  );
  process.exit(64);
}

const subjects = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => ({ name, profile: busiest(join(root, name)) }))
  .filter(({ profile }) => profile !== undefined);
const names = subjects.map(({ name }) => name);
print(['', ...names]);
print(['---', ...names.map(() => '---')]);
for (const [kind] of KINDS) {
  const shares = subjects.map(({ profile }) => profile.kinds.get(kind) ?? 0);
  if (Math.max(...shares) >= 0.005) print([kind, ...shares.map((share) => `${(share * 100).toFixed(0)} %`)]);
}
print(['all, s', ...subjects.map(({ profile }) => (profile.micros / 1e6).toFixed(1))]);
if (values.out !== undefined) {
  mkdirSync(values.out, { recursive: true });
  for (const { name, profile } of subjects) writeFileSync(join(values.out, `flame-${basename(name)}.svg`), flame(name, profile));
}

function print(cells) {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

/** Of a primary and its workers: the one that worked. */
function busiest(folder) {
  const all = readdirSync(folder)
    .filter((file) => file.endsWith('.cpuprofile'))
    .map((file) => read(JSON.parse(readFileSync(join(folder, file), 'utf8'))));
  return all.sort((a, b) => b.micros - a.micros)[0];
}

/** @returns `{ micros, kinds, root }`: time that was not idle; the share of each kind; frames `{ name, kind, own, total, children }` */
function read({ nodes, samples, timeDeltas }) {
  const own = new Map();
  for (const [index, id] of samples.entries()) own.set(id, (own.get(id) ?? 0) + Math.max(0, timeDeltas[index]));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const kinds = new Map();
  const frameOf = ({ id, callFrame, children = [] }) => {
    const below = children.map((child) => frameOf(byId.get(child)));
    const self = IDLE.has(callFrame.functionName) ? 0 : (own.get(id) ?? 0);
    const [kind] = KINDS.find(([, fits]) => fits(callFrame));
    kinds.set(kind, (kinds.get(kind) ?? 0) + self);
    return {
      name: callFrame.functionName || '(anonymous)',
      kind,
      total: self + below.reduce((sum, { total }) => sum + total, 0),
      children: below,
    };
  };
  const root = frameOf(nodes[0]);
  for (const [kind, micros] of kinds) kinds.set(kind, micros / root.total);
  return { micros: root.total, kinds, root };
}

function flame(name, { root }) {
  const least = root.total * LEAST_SHARE;
  const rows = [];
  let level = [{ frames: [root], x: 0 }];
  while (level.length > 0) {
    rows.push(level.flatMap(({ frames, x }) => boxes(frames, x)));
    level = rows.at(-1).map(({ frame, x }) => ({ frames: merged(frame.children).filter(({ total }) => total >= least), x }));
    level = level.filter(({ frames }) => frames.length > 0);
  }
  const scale = (WIDTH - 20) / root.total;
  const parts = rows.flatMap((boxesOfRow, depth) =>
    boxesOfRow.map(({ frame, x }) => {
      const width = frame.total * scale;
      const left = 10 + x * scale;
      const y = 30 + depth * ROW;
      const label = plain(frame.name.slice(0, Math.floor(width / CHARACTER)));
      const share = ((frame.total / root.total) * 100).toFixed(1);
      return `<g><title>${plain(frame.name)} (${frame.kind}): ${share} %</title><rect x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colourOf(frame.kind)}"/>${label.length > 2 ? `<text x="${(left + 2).toFixed(1)}" y="${y + 12}" font-size="11">${label}</text>` : ''}</g>`;
    }),
  );
  const title = `${name}: where the time goes, callers above what they call; idle time left out`;
  return svg(WIDTH, 40 + rows.length * ROW, title, [`<text x="10" y="20">${plain(title)}</text>`, ...parts]);
}

function boxes(frames, x) {
  let at = x;
  return frames.map((frame) => {
    const box = { frame, x: at };
    at += frame.total;
    return box;
  });
}

/** The same function called from different lines is one frame. */
function merged(children) {
  const byName = new Map();
  for (const child of children) {
    const key = `${child.name} ${child.kind}`;
    const known = byName.get(key);
    if (known) byName.set(key, { ...known, total: known.total + child.total, children: [...known.children, ...child.children] });
    else byName.set(key, child);
  }
  return [...byName.values()].sort((a, b) => b.total - a.total);
}
