// What stands in the documents besides prose: commands, configurations, links. Read as a person reads them: an indented block, or one
// marked `sh`, is a list of commands; in one marked `console` they begin with `$ ` and the other lines are what they print.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(__dirname, '../..');

export interface Block {
  /** Of the document, relative to the repository. */
  readonly file: string;
  /** Of its first line, from 1. */
  readonly line: number;
  /** What the fence says; '' for an indented block. */
  readonly language: string;
  readonly text: string;
}

export interface Command {
  readonly file: string;
  readonly line: number;
  /** Without its comment, on one line. */
  readonly text: string;
  /** What the document says that it prints; empty if it does not say. */
  readonly prints: readonly string[];
}

/** What git knows, and what it would know after an `add`: a document that was just written counts. */
export function filesOf(...patterns: string[]): string[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', ...patterns], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return listed.split('\n').filter(Boolean);
}

export const readDocument = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

export function blocksOf(file: string): Block[] {
  const blocks: Block[] = [];
  let open: { line: number; language: string; lines: string[]; fenced: boolean } | undefined;
  const close = () => {
    if (open) blocks.push({ file, line: open.line, language: open.language, text: open.lines.join('\n').trimEnd() });
    open = undefined;
  };
  for (const [index, line] of readDocument(file).split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line);
    if (open?.fenced) {
      if (fence) close();
      else open.lines.push(line);
    } else if (fence) {
      close();
      open = { line: index + 2, language: fence[1] || 'text', lines: [], fenced: true };
    } else if (/^ {4}/.test(line)) {
      open ??= { line: index + 1, language: '', lines: [], fenced: false };
      open.lines.push(line.slice(4));
    } else if (line !== '') close();
    else open?.lines.push('');
  }
  close();
  return blocks;
}

export const commandsOf = (file: string): Command[] => blocksOf(file).flatMap(commandsOfBlock);

export function commandsOfBlock({ file, line, language, text }: Block): Command[] {
  if (!['', 'sh', 'console'].includes(language)) return [];
  const commands: Array<{ file: string; line: number; text: string; prints: string[] }> = [];
  let unfinished = false;
  for (const [index, whole] of text.split('\n').entries()) {
    const begins = language !== 'console' || whole.startsWith('$ ');
    const body = withoutComment(language === 'console' ? whole.replace(/^\$ /, '') : whole);
    const last = commands.at(-1);
    if (unfinished && last) last.text += ` ${body.replace(/\\$/, '').trim()}`;
    else if (!begins) last?.prints.push(whole);
    else if (body) commands.push({ file, line: line + index, text: body.replace(/\\$/, '').trim(), prints: [] });
    unfinished = begins && body.endsWith('\\');
  }
  return commands;
}

const withoutComment = (line: string): string => line.replace(/(^|\s{2,})# .*$/, '').trimEnd();

export interface Link {
  readonly line: number;
  readonly path: string;
  readonly anchor: string | undefined;
}

/** Those that lead to a file of this repository or to a heading. */
export function linksOf(file: string): Link[] {
  const links: Link[] = [];
  let fenced = false;
  for (const [index, line] of readDocument(file).split('\n').entries()) {
    if (line.startsWith('```')) fenced = !fenced;
    if (fenced) continue;
    for (const [, found = ''] of line.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(found)) continue;
      const [path = '', anchor] = found.split('#');
      links.push({ line: index + 1, path, anchor });
    }
  }
  return links;
}

/** The anchors of a document, as GitHub makes them of its headings. */
export function anchorsOf(file: string): Set<string> {
  const anchors = new Set<string>();
  let fenced = false;
  for (const line of readDocument(file).split('\n')) {
    if (line.startsWith('```')) fenced = !fenced;
    const heading = fenced ? undefined : /^#+ (.+)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    anchors.add(words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-'));
  }
  return anchors;
}
