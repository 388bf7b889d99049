// The keys of `auth.mode: keys`: those of the configuration and those of the keys file, checked together. No message names a value:
// whoever mistakes the option has put the key itself there.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { StartError } from '../errors/start-error.js';
import { parseText } from './parse-file.js';
import { type Problem, pathText } from './problems.js';
import type { Config } from './schema.js';
import { type KeyEntry, keyEntries } from './schema-auth.js';

const HOW_TO = 'Make a key with `openssl rand -hex 32`, its digest with `printf %s "$KEY" | sha256sum`.';
/** Headers in which a key may come. */
export const KEY_HEADERS = ['authorization', 'x-api-key'] as const;

/** Why a keys file cannot be used; the message holds no value of it. */
export class UnusableKeys extends Error {}

/** The entries in the text of a keys file. @throws UnusableKeys */
export function parseKeys(text: string, file: string): KeyEntry[] {
  let value: unknown;
  try {
    value = parseText(text.replace(/^\uFEFF/, ''), file).value;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const [, ...problems] = error.message.split('\n');
    throw new UnusableKeys(problems.map((line) => line.replace(/^ *(- )?/, '')).join(' '));
  }
  const parsed = keyEntries.safeParse(value ?? []);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UnusableKeys(`${issue?.path.length ? pathText(issue.path as (string | number)[]) : 'the file'}: ${issue?.message}`);
  }
  if (parsed.data.length === 0) throw new UnusableKeys('there is no key in it');
  return parsed.data;
}

/** The first thing that two entries have in common; undefined if every id and every key stands once. */
export function findDouble(entries: readonly KeyEntry[]): string | undefined {
  const ids = new Set<string>();
  const owners = new Map<string, string>();
  for (const { id, sha256 } of entries) {
    if (ids.has(id)) return `"${id}" is given twice`;
    ids.add(id);
    for (const digest of sha256) {
      const other = owners.get(digest);
      if (other !== undefined) return other === id ? `"${id}" has one key twice` : `"${other}" and "${id}" have the same key`;
      owners.set(digest, id);
    }
  }
  return undefined;
}

/** What is wrong with `auth`. @param directory of the configuration file */
export function* checkAuth({ auth }: Config, directory: string): Generator<Problem> {
  if (!auth) return;
  const { mode, keys, keysFile } = auth;
  if (mode !== 'keys') {
    if (keys.length === 0 && keysFile === undefined) return;
    yield {
      where: 'auth.mode',
      message: `there are keys, but with the mode "${mode}" nobody has to send one`,
      remedy: 'Write auth.mode: keys, or remove auth.keys and auth.keysFile.',
    };
    return;
  }
  if (keys.length === 0 && keysFile === undefined) {
    yield {
      where: 'auth.mode',
      message: 'there is no key: nobody could come in',
      remedy: `Set auth.keys or auth.keysFile. ${HOW_TO}`,
    };
    return;
  }
  const double = findDouble(keys);
  if (double) yield { where: 'auth.keys', message: double, remedy: 'Give each caller one id and keys of his own.' };
  if (keysFile !== undefined && !double) yield* checkKeysFile(resolve(directory, keysFile), keys);
}

function* checkKeysFile(file: string, keys: readonly KeyEntry[]): Generator<Problem> {
  const where = 'auth.keysFile';
  try {
    const double = findDouble([...keys, ...parseKeys(readFileSync(file, 'utf8'), file)]);
    if (double)
      yield { where, message: `${file}: ${double}`, remedy: 'Give each caller one id and keys of his own, in one place.' };
  } catch (error) {
    if (error instanceof UnusableKeys) {
      yield { where, message: `${file}: ${error.message}`, remedy: `Write lines such as alice: <64 hex digits>. ${HOW_TO}` };
      return;
    }
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code ?? String(error)})`;
    yield { where, message: `${file}: ${why}`, remedy: 'Check the path and the permissions.' };
  }
}

/** A key is meant for the gateway: it ends here, whatever a backend asks for. */
export function* warnOfForwardedKeys({ auth, mcpServers }: Config): Generator<string> {
  if (auth?.mode !== 'keys') return;
  for (const [name, backend] of Object.entries(mcpServers)) {
    if (backend.type !== 'http') continue;
    for (const header of KEY_HEADERS) {
      if (!backend.forwardHeaders.includes(header)) continue;
      yield `mcpServers.${name}.forwardHeaders: ${header} is not passed on where it carries a key of auth.keys`;
    }
  }
}
