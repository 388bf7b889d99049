// Options from the environment: BERTH_SESSIONS__MAX_PER_PRINCIPAL for sessions.maxPerPrincipal, short names, _FILE variants.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { INPUT_PREFIX } from './client-inputs.js';
import type { Environment } from './environment.js';
import { listOptions, type OptionInfo } from './options.js';
import type { Problem } from './problems.js';
import { nearest } from './suggest.js';

export interface Override {
  readonly path: readonly string[];
  readonly value: unknown;
  /** The variable or flag, for messages. */
  readonly source: string;
}

/** Text as the value of an option; text that does not fit stays text, so that the schema says what was expected. */
export function fromText(option: Pick<OptionInfo, 'kind'>, text: string): unknown {
  if (option.kind === 'number' && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (option.kind === 'boolean' && /^(true|false|1|0)$/i.test(text)) return /^(true|1)$/i.test(text);
  if (option.kind === 'list') {
    return text
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean);
  }
  return text;
}

interface Twin {
  readonly option: OptionInfo;
  readonly fromFile: boolean;
}

function knownVariables(options: readonly OptionInfo[]): Map<string, Twin> {
  const known = new Map<string, Twin>();
  for (const option of options) {
    for (const name of [option.variable, option.doc.short]) {
      if (!name) continue;
      known.set(name, { option, fromFile: false });
      if (option.doc.secret) known.set(`${name}_FILE`, { option, fromFile: true });
    }
  }
  return known;
}

/** Every option that a variable sets. An empty variable counts as unset: compose files and manifests pass those. */
export function readTwins(env: Environment, cwd: string, problems: Problem[]): Override[] {
  const found = new Map<OptionInfo, Override>();
  for (const [name, { option, fromFile }] of knownVariables(listOptions())) {
    const raw = env[name];
    if (!raw) continue;
    const text = fromFile ? readSecretFile(name, resolve(cwd, raw), problems) : raw;
    if (text === undefined) continue;
    const value = fromText(option, text);
    const other = found.get(option);
    if (other && other.value !== value) {
      const message = `${name} and ${other.source} both set ${option.path.join('.')}, to different values`;
      problems.push({ where: name, message, remedy: 'Unset one of the two.' });
    }
    found.set(option, { path: option.path, value, source: name });
  }
  return [...found.values()];
}

function readSecretFile(name: string, file: string, problems: Problem[]): string | undefined {
  try {
    // Editors and `echo` end files with a line break that is no part of the secret.
    const text = readFileSync(file, 'utf8').replace(/[\r\n]+$/, '');
    if (text) return text;
    problems.push({
      where: name,
      message: `the file ${file} is empty`,
      remedy: 'Write the secret into it, or unset the variable.',
    });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    problems.push({
      where: name,
      message: `the file ${file} cannot be read (${code})`,
      remedy: 'Check the path and its permissions.',
    });
  }
  return undefined;
}

// Kubernetes puts these into every pod beside a Service named berth or berth-*: nobody wrote them, so they are no mistake.
const SERVICE_LINK =
  /^BERTH(_[A-Z0-9_]+?)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const isServiceLink = (name: string, value: string) =>
  SERVICE_LINK.test(name) || (/^BERTH(_[A-Z0-9_]+)?_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value));

/** What the bridge and the snippets for clients call the key of a caller: whoever uses clients and gateway on one machine has it set. */
export const CLIENT_KEY_VARIABLE = 'BERTH_TOKEN';

/** Variables that begin with BERTH_ and mean nothing; `referred` are those that the file itself uses. */
export function checkVariables(env: Environment, referred: ReadonlySet<string>, problems: Problem[]): void {
  const known = [...knownVariables(listOptions()).keys()];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('BERTH_') || value === undefined || known.includes(name) || referred.has(name)) continue;
    if (isServiceLink(name, value) || name === CLIENT_KEY_VARIABLE || name.startsWith(INPUT_PREFIX)) continue;
    // Without the common beginning, which would make everything look near.
    const near = nearest(
      name.slice('BERTH_'.length),
      known.map((other) => other.slice('BERTH_'.length)),
    );
    const suggestion = near && `BERTH_${near}`;
    problems.push({
      where: `environment variable ${name}`,
      message: 'there is no such option',
      remedy: suggestion
        ? `Did you mean ${suggestion}?`
        : 'Unset it; docs/configuration.md lists the variables ("__" goes one level down).',
    });
  }
}
