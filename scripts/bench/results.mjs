// The figures of one Node version that are kept: for each budget those of the last run that counted for it, with the command, date and
// control of that run. A later run with `--only` replaces its own budgets and leaves the others as they are.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { budgetsOf, groupOf, subjectsOf, verdictOf } from './budgets.mjs';
import { plotBudgets, plotGrowth } from './plot.mjs';
import { ratioTable, table } from './report.mjs';

/** Fewer say too little of the range. */
export const LEAST_ROUNDS = 5;
/** Of a figure that is no whole number. */
const DIGITS = 5;
/** Folders of one machine. */
const FOLDERS = ['--out', '--profile', '--against'];
const keyOf = ({ id, label }) => `${id} ${label}`;

/**
 * @typedef {object} Entry a ratio
 * @property {number} id
 * @property {string} label with the id the name of a budget (budgets.mjs)
 * @property {number} value median, `low` … `high` the range, `perRound` what they are of
 * @property {{label: string, value: number, low: number, high: number, isOff: boolean}} [control]
 * @property {boolean} isVoid
 *
 * @typedef {object} Run
 * @property {string} command to repeat it
 * @property {string} date
 * @property {string} machine
 * @property {string} method
 * @property {number} rounds
 * @property {{verified: number, errors: number, crossed: number}} answers of the whole run
 * @property {readonly object[]} summary medians of each measurement that an entry needs
 * @property {readonly Entry[]} entries
 */

/** @param report of makeReport @param told `{ command, date, machine, method, rounds }` @returns {Run} */
export function makeRun({ ratios, summary }, told) {
  const sum = (name) => summary.reduce((total, row) => total + row[name], 0);
  const answers = { verified: sum('verified'), errors: sum('errors'), crossed: sum('crossed') };
  const isWrong = answers.errors + answers.crossed > 0;
  const entries = ratios.filter(({ id }) => id > 0);
  return { ...told, answers, summary, entries: entries.map((ratio) => entryOf(ratio, isWrong)) };
}

function entryOf({ id, label, at, value, low, high, perRound, control }, isWrong) {
  const own = control && {
    label: control.label,
    value: control.value,
    low: control.low,
    high: control.high,
    isOff: control.isOff,
  };
  return { id, label, at, value, low, high, perRound, control: own, isVoid: isWrong || control?.isOff === true };
}

/** How to repeat a run; where it was written to is left out. @param args of the command line */
export function commandOf(args) {
  const told = [];
  for (let i = 0; i < args.length; i += 1) {
    const [name, value] = args[i].split('=');
    const isFolder = FOLDERS.includes(name);
    if (isFolder && value === undefined) i += 1;
    if (name === '--out' || name === '--force') continue;
    told.push(...(isFolder ? [name, 'DIR'] : [args[i]]));
  }
  return ['npm run bench', ...(told.length > 0 ? ['--', ...told] : [])].join(' ');
}

/**
 * @param {{node: number, runs: readonly Run[]}} before
 * @param {Run} run its void entries take the place of none that is valid
 */
export function merge(before, run) {
  const old = new Map(before.runs.flatMap(({ entries }) => entries.map((entry) => [keyOf(entry), entry])));
  const fresh = run.entries.filter((entry) => !entry.isVoid || old.get(keyOf(entry))?.isVoid !== false);
  const replaced = new Set(fresh.map(keyOf));
  const budgets = new Map(budgetsOf(before.node).map((budget) => [keyOf(budget), budget]));
  const left = before.runs.map((one) => {
    return { ...one, entries: one.entries.filter((entry) => budgets.has(keyOf(entry)) && !replaced.has(keyOf(entry))) };
  });
  const runs = [...left, { ...run, entries: fresh }].filter(({ entries }) => entries.length > 0);
  return { node: before.node, runs: runs.map((one) => ({ ...one, summary: neededOf(one, budgets) })) };
}

/** Measurements that some entry of the run looks at. Growth needs every size, for its plot. */
function neededOf({ summary, entries }, budgets) {
  const groupFor = ({ kind, at }) => (kind === 'growth' ? kind : groupOf({ kind, at }));
  const needed = new Set();
  for (const entry of entries) {
    const budget = budgets.get(keyOf(entry));
    for (const name of subjectsOf(budget)) for (const end of ['', '-again']) needed.add(`${groupFor(budget)} ${name}${end}`);
    needed.add(`${groupFor(budget)} relay-again`);
  }
  return summary.filter((row) => needed.has(`${groupFor(row)} ${row.subject}`));
}

/** Each budget of this version as it stands: `{ ...budget, ...entry, verdict, run }`; without figures where there are none. */
export function judgedOf({ node, runs }) {
  const found = new Map(
    runs.flatMap((run, index) => run.entries.map((entry) => [keyOf(entry), { ...entry, run: nameOf(index) }])),
  );
  return budgetsOf(node).map((budget) => {
    const entry = found.get(keyOf(budget));
    return entry ? { ...budget, ...entry, verdict: entry.isVoid ? 'void' : verdictOf(budget, entry.value) } : budget;
  });
}

/** Of a run in tables: a, b, … */
export const nameOf = (index) => String.fromCharCode('a'.charCodeAt(0) + index);

/** Controls of the entries that a run still has, each once. */
export const controlsOf = ({ entries }) => [
  ...new Map(entries.flatMap(({ control }) => (control ? [[control.label, control]] : []))).values(),
];

export const folderOf = (out, node) => join(out, `node-${node}`);

/** What a folder holds; no runs where it is not there. @throws Error if an earlier bench made it */
export function readResults(out, node) {
  const file = join(folderOf(out, node), 'result.json');
  if (!existsSync(file)) return { node, runs: [] };
  const results = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(results.runs)) throw new Error(`${file} is none of this bench: remove it`);
  return results;
}

/** Text, JSON and plots of a Node version, in a folder of their own. */
export function writeResults(out, results) {
  const folder = folderOf(out, results.node);
  mkdirSync(folder, { recursive: true });
  const judged = judgedOf(results).filter(({ value }) => value !== undefined);
  writeFileSync(join(folder, 'result.json'), toJson(results));
  writeFileSync(join(folder, 'result.txt'), textOf(results, judged));
  writeFileSync(join(folder, 'budgets.svg'), plotBudgets(judged));
  const growth = results.runs.flatMap(({ summary }) => summary).filter(({ kind }) => kind === 'growth');
  if (growth.length > 0) writeFileSync(join(folder, 'growth.svg'), plotGrowth(growth));
  else rmSync(join(folder, 'growth.svg'), { force: true });
}

function textOf({ runs }, judged) {
  const parts = runs.map((run, index) => {
    const head = [`${nameOf(index)}: ${run.command}`, run.date, run.machine, run.method, answersText(run.answers)].join('\n');
    return `${head}\n\n${table(run.summary)}\n`;
  });
  const controls = runs.flatMap((run, index) =>
    controlsOf(run).map((control) => ({ ...control, label: `${control.label}, run ${nameOf(index)}` })),
  );
  const ratios = judged.map((one) => ({ ...one, label: `${one.label}, run ${one.run}` }));
  return `${parts.join('\n')}\n${ratioTable([...controls, ...ratios])}\n`;
}

export function answersText({ verified, errors, crossed }) {
  return `${verified} answers verified, ${errors || 'no'} errors, ${crossed || 'none'} crossed`;
}

/** Arrays of numbers in one line each; digits that say nothing are left out, as is what was not measured. */
function toJson(results) {
  const plain = (_name, value) => {
    if (value === null || Number.isNaN(value)) return undefined;
    return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  };
  const text = JSON.stringify(results, plain, 1);
  return `${text.replace(/\[\s+([-\d.e+,\s]+?)\s+\]/g, (_all, numbers) => `[${numbers.replace(/\s+/g, ' ')}]`)}\n`;
}
