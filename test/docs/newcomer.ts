// Somebody who follows a document to the letter: in a copy of this clone, with a HOME of their own and one terminal for each command that
// stays. What a command exports, and where it goes, holds for those after it.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Block, type Command, filesOf, ROOT } from '../support/documents.js';
import { freePort } from '../support/ports.js';
import { commandOf, killNow, processesOf } from '../support/processes.js';
import { waitFor } from '../support/wait-for.js';
import { classify, PORTS, withValues } from './commands.js';
import { shapeOf } from './shape.js';

/** A reader looks again where something is not there yet; this long. */
const AGAIN_WITHIN_MS = 30_000;
/** An installation and a build may be part of it. */
const READY_WITHIN_MS = 240_000;
const END_WITHIN_MS = 45_000;
/** Where the documents say `PID`: whoever owns the first session. */
const OWNER_PID = `$(node -e 'fetch(process.argv[1] + "/api/sessions").then(async (answer) => {
  const { sessions } = await answer.json();
  const { workers } = await (await fetch(process.argv[1] + "/api/workers")).json();
  console.log(workers.find(({ id }) => id === sessions[0].owner).pid);
})' "http://$BERTH_ADMIN__LISTEN")`;

interface Terminal {
  readonly command: Command;
  readonly child: ChildProcess;
  output(): string;
}

export class Newcomer {
  readonly notHere: Array<{ readonly command: Command; readonly why: string }> = [];
  /** Of those who went on calling. */
  failedCalls = 0;
  readonly #home = mkdtempSync(join(tmpdir(), 'berth-docs-'));
  readonly #ports = new Map<string, string>();
  #terminals: Terminal[] = [];
  #env: Record<string, string> = {};
  #cwd = join(this.#home, 'berth');

  /** @param built with what `npm start` makes first; else it is made anew, packages excepted */
  async arrive(built: boolean): Promise<void> {
    for (const port of PORTS) this.#ports.set(port, String(await freePort()));
    for (const file of filesOf('.')) {
      cpSync(join(ROOT, file), join(this.#cwd, file), { preserveTimestamps: true });
      if (file.startsWith('examples/'))
        writeFileSync(join(this.#cwd, file), this.#withPorts(readFileSync(join(ROOT, file), 'utf8')));
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.#cwd, 'node_modules'));
    if (built) cpSync(join(ROOT, 'dist'), join(this.#cwd, 'dist'), { recursive: true, preserveTimestamps: true });
    mkdirSync(join(this.#home, 't'));
    this.#env = {
      HOME: this.#home,
      PATH: process.env.PATH ?? '',
      TMPDIR: join(this.#home, 't'),
      BERTH_LISTEN: `127.0.0.1:${this.#ports.get('8080')}`,
      BERTH_ADMIN__LISTEN: `127.0.0.1:${this.#ports.get('8081')}`,
      // Servers that listen everywhere by themselves do so on loopback here.
      NODE_OPTIONS: `--import ${join(__dirname, 'loopback-only.mjs')}`,
    };
  }

  /** A configuration whose first line is the name of its file is saved, as the document asks. */
  save({ text }: Block): void {
    const [, name] = /^# (\w+\.yaml)\n/.exec(text) ?? [];
    if (name) writeFileSync(join(this.#cwd, name), this.#withPorts(withValues(text)));
  }

  async follow(command: Command): Promise<void> {
    const verdict = classify(command.text);
    if (verdict === undefined) throw new Error(`${command.text}: not in test/docs/commands.ts`);
    if (verdict.kind === 'not here') this.notHere.push({ command, why: verdict.why });
    else if (verdict.kind === 'stays') await this.#open(command, verdict);
    else
      await waitFor(
        () => `${at(command)} to do what it says`,
        () => this.#run(command).then(() => true),
        AGAIN_WITHIN_MS,
      );
  }

  async #run(command: Command): Promise<void> {
    // What it exports and where it ends up, for those after it: behind its output, on a pipe of its own.
    const script = `set -a; eval "$COMMAND"; code=$?; { env -u COMMAND -u BASHOPTS -0; printf 'CWD=%s\\0' "$PWD"; } >&3; exit $code`;
    const child = spawn('bash', ['-c', script], {
      cwd: this.#cwd,
      env: { ...this.#env, COMMAND: this.#concrete(command.text) },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    let state = '';
    (child.stdio[3] as NodeJS.ReadableStream).on('data', (chunk) => (state += chunk));
    const output = collect(child);
    const code = await new Promise((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`${command.text}\nended with ${code}:\n${output()}`);
    expectShape(command, output());
    const { CWD, ...env } = Object.fromEntries(state.split('\0').filter(Boolean).map(split));
    this.#env = env as Record<string, string>;
    this.#cwd = CWD ?? this.#cwd;
  }

  async #open(command: Command, { ready, replaces }: { ready: RegExp; replaces: boolean }): Promise<void> {
    const before = this.#terminals.filter(
      (one) => one.command.text === command.text || (replaces && one.command.text.startsWith('npm start')),
    );
    // The gateway of those who call goes: they are done with first.
    if (replaces && before.length > 0) await this.endCallers();
    for (const terminal of before) await this.#ctrlC(terminal);
    // A group of its own: what a terminal is for its foreground command.
    const child = spawn('bash', ['-c', this.#concrete(command.text)], {
      cwd: this.#cwd,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const terminal = { command, child, output: collect(child) };
    this.#terminals.push(terminal);
    await waitFor(
      () => `${at(command)} to print ${ready}; it printed:\n${terminal.output().slice(-3000)}`,
      () => {
        if (hasEnded(child)) return true;
        return ready.test(terminal.output());
      },
      READY_WITHIN_MS,
    );
    if (hasEnded(child)) throw new Error(`${at(command)} ended with ${child.exitCode}:\n${terminal.output().slice(-3000)}`);
    expectShape(command, terminal.output());
  }

  /** Those that go on calling still did, each in the session that it began with; then Ctrl-C. */
  async endCallers(): Promise<void> {
    for (const terminal of this.#terminals.filter(({ command: { text } }) => text.includes('--every'))) {
      const { command, output } = terminal;
      const already = output().length;
      await waitFor(
        () => `the caller of ${at(command)} to go on; it printed:\n${output().slice(-2000)}`,
        () => /call \d+ {2}(?!failed).*\n/.test(output().slice(already)),
        AGAIN_WITHIN_MS,
      );
      const sessions = new Set(output().match(/^session \S+/gm));
      if (sessions.size !== 1) throw new Error(`${at(command)}: ${[...sessions].join(', ')}`);
      this.failedCalls += output().match(/failed: /g)?.length ?? 0;
      await this.#ctrlC(terminal);
    }
  }

  /** Ctrl-C in every terminal, the last one first. @throws Error naming what is left */
  async leave(): Promise<void> {
    const left: string[] = [];
    try {
      for (const terminal of [...this.#terminals].reverse()) await this.#ctrlC(terminal);
      await waitFor('nothing to be left', () => processesOf(this.#home).length === 0).catch(() => undefined);
    } finally {
      for (const pid of processesOf(this.#home)) {
        left.push(`${pid} ${commandOf(pid)}`);
        killNow(pid);
      }
      rmSync(this.#home, { recursive: true, force: true });
    }
    if (left.length) throw new Error(`left behind: ${left.join(', ')}`);
  }

  async #ctrlC(terminal: Terminal): Promise<void> {
    this.#terminals = this.#terminals.filter((one) => one !== terminal);
    const { child, command, output } = terminal;
    if (hasEnded(child)) throw new Error(`${at(command)} had ended with ${child.exitCode}:\n${output().slice(-3000)}`);
    process.kill(-(child.pid as number), 'SIGINT');
    await waitFor(
      () => `${at(command)} to end on Ctrl-C:\n${output().slice(-3000)}`,
      () => hasEnded(child),
      END_WITHIN_MS,
    );
  }

  #withPorts(text: string): string {
    return text.replace(/\b\d{4}\b/g, (port) => this.#ports.get(port) ?? port);
  }

  #concrete(text: string): string {
    return this.#withPorts(withValues(text)).replace(/\bPID\b/, OWNER_PID);
  }
}

const at = ({ file, line, text }: Command): string => `${file}:${line} (${text})`;
const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;
const split = (entry: string): [string, string] => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)];

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk));
  return () => text;
}

/** Every line that the document shows was printed, in its order; others may stand between them. */
function expectShape(command: Command, output: string): void {
  const printed = output.split('\n').map(shapeOf);
  let from = 0;
  for (const line of command.prints.filter((one) => one.trim() && one.trim() !== '…')) {
    const found = printed.indexOf(shapeOf(line), from);
    if (found < 0) throw new Error(`${at(command)} did not print\n${line}\nbut\n${output}`);
    from = found + 1;
  }
}
