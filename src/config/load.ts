// The one way to an effective configuration: file < environment < flags, everything that is wrong with it told at once.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { checkAuth, warnOfForwardedKeys } from './auth-keys.js';
import { credentialWarnings } from './check-credentials.js';
import { checkShape } from './check-shape.js';
import { adaptFile } from './client-formats.js';
import { INPUT_PREFIX, type Input } from './client-inputs.js';
import { ClientReferences } from './client-references.js';
import type { Environment } from './environment.js';
import { interpolate } from './interpolate.js';
import { listOptions } from './options.js';
import { type ParsedFile, parseFile } from './parse-file.js';
import { configError, isRecord, type Path, type Problem, pathText } from './problems.js';
import type { BackendConfig, Config } from './schema.js';
import { checkStartable } from './start-checks.js';
import { nearest } from './suggest.js';
import { checkVariables, fromText, type Override, readTwins } from './twins.js';
import { validate } from './validate.js';
import { resolveWorkers } from './workers.js';

/** Looked for in this order where no file is named. */
export const DEFAULT_FILES = ['berth.yaml', 'berth.yml', 'berth.json'] as const;

export interface LoadOptions {
  /** Path of the file; without one only environment and flags count. */
  readonly file?: string | undefined;
  /** Values of flags by option path, for example `{ listen: '127.0.0.1:9000', workers: '2' }`; undefined ones are ignored. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly env: Environment;
  readonly cwd: string;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
  /** Absolute; undefined if there was none. */
  readonly file: string | undefined;
  /** Which client writes a backend as it is written here, by backend; none for our own form and for what many write. */
  readonly clients: ReadonlyMap<string, string>;
  /** Values that must not be shown wherever they stand: those of password inputs and of files that the configuration refers to. */
  readonly secrets: readonly string[];
  /** There is a file, and nothing stands in it (but comments). */
  readonly isEmpty?: boolean;
}

/** The first of the default files that exists in a directory. */
export const findConfigFile = (directory: string): string | undefined =>
  DEFAULT_FILES.map((name) => join(directory, name)).find((file) => existsSync(file));

/**
 * Loads, merges and checks. `dataDir`, `auth.keysFile` and the `cwd` of backends come out absolute.
 * @throws StartError 78 naming every problem, its place and the remedy
 */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const file = options.file === undefined ? undefined : resolve(options.cwd, options.file);
  const parsed: ParsedFile = file === undefined ? { value: {}, lineOf: () => undefined, warnings: [] } : parseFile(file);
  const problems: Problem[] = [];
  const warnings = [...parsed.warnings];

  const inFile = (path: Path) => {
    const line = parsed.lineOf(path);
    return line === undefined ? pathText(path) : `${pathText(path)} (line ${line})`;
  };
  const root = checkShape(parsed.value ?? {}, file, { problems, placeOf: inFile });
  if (!isRecord(root)) {
    throw configError(
      [{ where: 'the file', message: 'expected options by name', remedy: 'Write lines such as "listen: 127.0.0.1:8080".' }],
      file,
    );
  }
  const adapted = adaptFile(root, { problems, warnings, placeOf: inFile, file, env: options.env });

  const overrides = [...readTwins(options.env, options.cwd, problems), ...readFlags(options.flags ?? {})];
  const sources = new Map(overrides.map(({ path, source }) => [pathText(path), source]));
  const placeOf = (path: Path) => {
    for (let length = path.length; length > 0; length--) {
      const source = sources.get(pathText(path.slice(0, length)));
      if (source) return `${source} (${pathText(path)})`;
    }
    return inFile(adapted.originOf(path));
  };
  const references = new ClientReferences({ inputs: adapted.inputs, file, env: options.env, cwd: options.cwd });
  const filled = interpolate(
    adapted.value,
    {
      env: options.env,
      placeOf,
      isOverridden: (path) => sources.has(pathText(path)),
      special: (inner, variables, fail) => references.resolve(inner, variables, fail),
    },
    problems,
  );
  warnings.push(...references.warnings, ...idleInputs(options.env, filled.variables, adapted.inputs));
  checkVariables(options.env, filled.variables, problems);

  const merged = merge(coerce(filled.value, filled.replaced), overrides);
  const directory = file ? dirname(file) : options.cwd;
  const config = validate(merged, { placeOf, broken: filled.broken }, problems);
  if (config) {
    for (const problem of [...checkStartable(config, { workers: resolveWorkers(config) }), ...checkAuth(config, directory)]) {
      problems.push({ ...problem, where: placeOf(problem.where.split('.')) });
    }
  }
  if (problems.length || !config) throw configError(problems, file);

  const written = isRecord(merged) && isRecord(merged.sessions) ? merged.sessions.maxPerPrincipal : undefined;
  warnings.push(...credentialWarnings(config));
  if (!Object.keys(config.mcpServers).length) warnings.push('mcpServers: there are no backends; clients will find no tools');
  warnings.push(...warnOfForwardedKeys(config));
  const settled = settle(config, written === undefined, directory);
  const isEmpty = file !== undefined && !Object.keys(root).length;
  return { config: settled, warnings, file, isEmpty, clients: adapted.clients, secrets: [...references.secrets] };
}

/** No mistake that should keep the gateway from starting: the backend that used it may have been removed by a reload. */
function idleInputs(env: Environment, used: ReadonlySet<string>, inputs: ReadonlyMap<string, Input>): string[] {
  // Without the common beginning, which would make everything look near.
  const known = [...inputs.values()].map(({ variable }) => variable.slice(INPUT_PREFIX.length));
  return Object.keys(env)
    .filter((name) => name.startsWith(INPUT_PREFIX) && !used.has(name))
    .map((name) => {
      const bare = name.slice(INPUT_PREFIX.length).replace(/_FILE$/, '');
      const near = known.includes(bare) ? undefined : nearest(bare, known);
      return `environment variable ${name}: no \${input:…} uses it${near ? `; did you mean ${INPUT_PREFIX}${near}?` : ''}`;
    });
}

function readFlags(flags: Readonly<Record<string, string | undefined>>): Override[] {
  return Object.entries(flags).flatMap(([name, text]) => {
    if (text === undefined) return [];
    const path = name.split('.');
    const option = listOptions().find((known) => known.path.join('.') === name);
    return [{ path, value: option ? fromText(option, text) : text, source: `--${path.at(-1)}` }];
  });
}

/** `workers: "${WORKERS}"` is text after the replacement: where the option wants a number or a boolean, it becomes one. */
function coerce(root: unknown, replaced: ReadonlySet<string>): unknown {
  for (const option of listOptions()) {
    if (!['number', 'boolean'].includes(option.kind) || !replaced.has(option.path.join('.'))) continue;
    const holder = option.path.slice(0, -1).reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), root);
    const key = option.path.at(-1) as string;
    if (isRecord(holder) && typeof holder[key] === 'string') holder[key] = fromText(option, holder[key]);
  }
  return root;
}

/** Overrides over the file. An option or group with nothing behind it (`redis:` whose lines are commented out) is absent. */
function merge(root: unknown, overrides: readonly Override[]): unknown {
  const known = new Set(listOptions().flatMap(({ path }) => path.map((_, i) => path.slice(0, i + 1).join('.'))));
  const prune = (value: unknown, path: readonly string[]): unknown => {
    if (!isRecord(value)) return value;
    const kept = Object.entries(value).filter(([key, inner]) => inner !== null || !known.has([...path, key].join('.')));
    return Object.fromEntries(kept.map(([key, inner]) => [key, prune(inner, [...path, key])]));
  };
  const merged = prune(root, []) as Record<string, unknown>;
  for (const { path, value } of overrides) {
    let holder: unknown = merged;
    for (const key of path.slice(0, -1)) {
      if (!isRecord(holder)) break;
      holder[key] ??= {};
      holder = holder[key];
    }
    // Text where a group should be stays, for the schema to refuse.
    if (isRecord(holder)) holder[path.at(-1) as string] = value;
  }
  return merged;
}

/** Paths are relative to the file; workers have another working directory. */
function settleBackend(backend: BackendConfig, directory: string): BackendConfig {
  if (backend.type === 'stdio') return backend.cwd ? { ...backend, cwd: resolve(directory, backend.cwd) } : backend;
  const { bearerFile, oauth } = backend;
  return {
    ...backend,
    ...(bearerFile ? { bearerFile: resolve(directory, bearerFile) } : {}),
    ...(oauth?.clientSecretFile ? { oauth: { ...oauth, clientSecretFile: resolve(directory, oauth.clientSecretFile) } } : {}),
  };
}

/** What depends on other options or on where the file is. */
function settle(config: Config, capIsDefault: boolean, directory: string): Config {
  // Without authentication all callers are one principal: a cap meant for one of many would be a cap for all.
  const single = (config.auth?.mode ?? 'none') === 'none';
  const maxPerPrincipal = single && capIsDefault ? config.sessions.max : config.sessions.maxPerPrincipal;
  const mcpServers = Object.fromEntries(
    Object.entries(config.mcpServers).map(([id, backend]) => [id, settleBackend(backend, directory)]),
  );
  const { auth } = config;
  return {
    ...config,
    ...(auth?.keysFile !== undefined && { auth: { ...auth, keysFile: resolve(directory, auth.keysFile) } }),
    mcpServers,
    dataDir: resolve(directory, config.dataDir),
    sessions: { ...config.sessions, maxPerPrincipal },
  };
}
