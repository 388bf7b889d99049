// What Codex writes in its own words: credentials and variables by the name of an environment variable, times in seconds.
import type { Environment } from './environment.js';
import { type Findings, isRecord, type Path } from './problems.js';

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

export interface CodexParts {
  /** To be merged into the backend: headers, env, timeout. */
  readonly own: Record<string, unknown>;
  readonly taken: ReadonlySet<string>;
  /** Where each part of `own` stood, below the backend, by the JSON text of its path. */
  readonly moved: ReadonlyMap<string, Path>;
}

const KEYS = [
  'bearer_token',
  'bearer_token_env_var',
  'http_headers',
  'env_http_headers',
  'env_vars',
  'tool_timeout_sec',
  'startup_timeout_sec',
  'startup_timeout_ms',
];

export function readCodex(
  entry: Readonly<Record<string, unknown>>,
  origin: Path,
  env: Environment,
  findings: Findings,
): CodexParts {
  const reader = new CodexReader(origin, env, findings);
  reader.headers(entry);
  reader.environment(entry.env_vars, entry.env);
  reader.times(entry);
  return { own: reader.own, taken: new Set(KEYS), moved: reader.moved };
}

class CodexReader {
  readonly own: Record<string, unknown> = {};
  readonly moved = new Map<string, Path>();
  readonly #origin: Path;
  readonly #env: Environment;
  readonly #findings: Findings;

  constructor(origin: Path, env: Environment, findings: Findings) {
    this.#origin = origin;
    this.#env = env;
    this.#findings = findings;
  }

  headers(entry: Readonly<Record<string, unknown>>): void {
    const { http_headers: fixed, env_http_headers: named, bearer_token_env_var: bearer } = entry;
    if (entry.bearer_token !== undefined) {
      this.#problem(['bearer_token'], 'Codex refuses it, too', 'Write bearer_token_env_var = "NAME" and set that variable.');
    }
    const headers: Record<string, unknown> = {};
    for (const [name, value] of this.#table('http_headers', fixed)) {
      headers[name] = value;
      this.#move(['headers', name], ['http_headers', name]);
    }
    for (const [name, variable] of this.#table('env_http_headers', named)) {
      const reference = this.#reference(['env_http_headers', name], variable);
      if (reference !== undefined) headers[name] = reference;
      this.#move(['headers', name], ['env_http_headers', name]);
    }
    if (bearer !== undefined) {
      const other = Object.keys(headers).find((name) => name.toLowerCase() === 'authorization');
      const reference = this.#reference(['bearer_token_env_var'], bearer);
      if (other) this.#problem(['bearer_token_env_var'], `the header ${other} is written out, too`, 'Keep one of the two.');
      else if (reference !== undefined) headers.Authorization = `Bearer ${reference}`;
      this.#move(['headers', 'Authorization'], ['bearer_token_env_var']);
    }
    if (Object.keys(headers).length) this.own.headers = headers;
  }

  /** Codex passes on those that are set and says nothing of the others. */
  environment(names: unknown, written: unknown): void {
    if (names === undefined) return;
    if (!Array.isArray(names)) {
      this.#problem(['env_vars'], 'expected a list of names', 'Write env_vars = ["NAME"].');
      return;
    }
    const env: Record<string, unknown> = {};
    names.forEach((item: unknown, i) => {
      const path = ['env_vars', i];
      const name = isRecord(item) ? item.name : item;
      const reference = this.#reference(path, name);
      if (reference === undefined || (isRecord(written) && (name as string) in written)) return;
      if (this.#env[name as string] === undefined) {
        this.#warn(path, `the environment variable ${String(name)} is not set; not passed on`);
        return;
      }
      env[name as string] = reference;
      this.#move(['env', name as string], path);
    });
    if (Object.keys(env).length) this.own.env = env;
  }

  times({
    tool_timeout_sec: call,
    startup_timeout_sec: start,
    startup_timeout_ms: startMs,
  }: Readonly<Record<string, unknown>>): void {
    if (typeof call === 'number') this.own.timeout = `${Math.round(call * 1000)}ms`;
    else if (call !== undefined) this.own.timeout = call;
    this.#move(['timeout'], ['tool_timeout_sec']);
    const key = start === undefined ? 'startup_timeout_ms' : 'startup_timeout_sec';
    if (start !== undefined || startMs !== undefined) {
      this.#warn([key], 'ignored; limits.startTimeout holds for all backends');
    }
  }

  #table(key: string, value: unknown): Array<[string, unknown]> {
    if (value === undefined) return [];
    if (isRecord(value)) return Object.entries(value);
    this.#problem([key], 'expected a table', `Write ${key} = { "X-Name" = "…" }.`);
    return [];
  }

  /** The value is put in with all others, where an unset variable is told. */
  #reference(path: Path, name: unknown): string | undefined {
    if (typeof name === 'string' && VARIABLE.test(name)) return `\${${name}}`;
    this.#problem(path, 'expected the name of an environment variable', 'Not the value itself: set a variable to it.');
    return undefined;
  }

  #move(to: Path, from: Path): void {
    this.moved.set(JSON.stringify(to), from);
  }

  #problem(path: Path, message: string, remedy: string): void {
    this.#findings.problems.push({ where: this.#findings.placeOf([...this.#origin, ...path]), message, remedy });
  }

  #warn(path: Path, message: string): void {
    this.#findings.warnings.push(`${this.#findings.placeOf([...this.#origin, ...path])}: ${message}`);
  }
}
