// The generated part of docs/benchmarks.md: every budget beside what was measured, and the run that each figure is of. `npm run docs`.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_VERSIONS } from './budgets.mjs';
import { answersText, controlsOf, folderOf, judgedOf, nameOf, readResults } from './results.mjs';

const BEGIN = '<!-- Made by `npm run docs` from the files in docs/benchmarks: -->';
const END = '<!-- End of what is made. -->';
/** Judged elsewhere: killing owners is no matter of load. */
const ELSEWHERE = [
  {
    id: 17,
    label: 'from the death of an owner to the first good answer, p50 / p99, s',
    must: '≤ 1 / 2',
    aim: '0.2 / 0.5',
    where: '[reliability.md](reliability.md#a-chaos-run)',
  },
];
const VERDICTS = { aim: 'aim', met: 'met', MISSED: '**missed**', void: '**void**', '': '' };

/**
 * @param text of docs/benchmarks.md
 * @param folder docs/benchmarks
 * @returns the text with what stands between the markers made anew
 * @throws Error if there are no markers
 */
export function fillIn(text, folder) {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md needs the lines "${BEGIN}" and "${END}"`);
  const versions = NODE_VERSIONS.map((node) => readResults(folder, node));
  const made = [budgetsTable(versions), runsTable(versions), ...versions.map((results) => filesOf(results, folder))];
  return `${text.slice(0, from + BEGIN.length)}\n\n${made.join('\n\n')}\n\n${text.slice(to)}`;
}

export function budgetsTable(versions) {
  const judged = versions.map(judgedOf);
  const rows = judged[0].map((budget, row) => {
    const bounds = (name) => [...new Set(judged.map((version) => version[row][name]))].filter((bound) => bound !== undefined);
    const sign = budget.isLeast ? '≥' : '≤';
    const must = bounds('must').length > 0 ? `${sign} ${bounds('must').join(' / ')}` : '';
    return [budget.id, budget.label, must, bounds('aim').join(' / '), ...judged.map((version) => figureText(version[row]))];
  });
  for (const { id, label, must, aim, where } of ELSEWHERE) rows.push([id, label, must, aim, ...versions.map(() => where)]);
  rows.sort(([a], [b]) => a - b);
  return grid(['#', 'ratio', 'must', 'aim', ...versions.map(({ node }) => `Node ${node}`)], rows);
}

function figureText({ value, low, high, verdict, run }) {
  if (value === undefined) return 'not measured';
  return `${[rangeText({ value, low, high }), VERDICTS[verdict]].join(' ').trim()}, run ${run}`;
}

function rangeText({ value, low, high }) {
  return low === high ? number(value) : `${number(value)} (${number(low)} … ${number(high)})`;
}

function runsTable(versions) {
  const rows = versions.flatMap(({ node, runs }) =>
    runs.map((run, index) => {
      const controls = controlsOf(run).map((control) => `${control.label.replace('control: ', '')}: ${rangeText(control)}`);
      const method = `${run.method}; ${answersText(run.answers)}`;
      return [`${node} ${nameOf(index)}`, run.machine, run.date, `\`${run.command}\``, method, controls.join('<br>') || 'none'];
    }),
  );
  return grid(['run', 'Node, machine', 'date', 'command', 'method', 'controls'], rows);
}

function filesOf({ node, runs }, folder) {
  if (runs.length === 0) return `Node ${node}: no run yet.`;
  const at = (name) => `${folderOf('benchmarks', node)}/${name}`;
  const plots = [
    ['budgets.svg', 'share of each bound that is used'],
    ['growth.svg', 'latency over the number of live sessions'],
  ].filter(([name]) => existsSync(join(folderOf(folder, node), name)));
  const files = `Node ${node}: all measurements in [result.txt](${at('result.txt')}), and for programs in [result.json](${at('result.json')}).`;
  return [files, ...plots.map(([name, what]) => `![Node ${node}: ${what}](${at(name)})`)].join('\n\n');
}

function grid(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** Three digits that mean something. */
function number(value) {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
