// The secret of a gateway without a shared Redis: made once, kept in dataDir, so that what is sealed there can be opened again.
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, StartError } from '../errors/start-error.js';

/**
 * The secret in `<dataDir>/secret` (mode 0600), made if there is none. Two processes at once get the same one.
 * @throws StartError 78 if it can be neither read nor written, or is empty
 */
export function loadOrCreateSecret(dataDir: string): string {
  const file = join(dataDir, 'secret');
  try {
    return read(file) ?? create(dataDir, file);
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new StartError(
      EXIT.config,
      `dataDir: the secret ${file} cannot be read or written (${code}).\n  Make ${dataDir} writable for this user, set dataDir to another directory, or set BERTH_SECRET.`,
      { cause },
    );
  }
}

function read(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (text.length < 16) {
    throw new StartError(
      EXIT.config,
      `dataDir: the secret ${file} is empty or cut short.\n  Restore it, or remove it: sessions sealed with it are lost then.`,
    );
  }
  return text;
}

function create(dataDir: string, file: string): string {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const secret = randomBytes(32).toString('hex');
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  // Race: two start at once, both find none. A link is made only where nothing is, and never shows a half-written file.
  const handle = openSync(draft, 'wx', 0o600);
  try {
    chmodSync(draft, 0o600);
    writeSync(handle, `${secret}\n`);
    fsyncSync(handle);
    linkSync(draft, file);
    return secret;
  } catch (error) {
    const other = (error as NodeJS.ErrnoException).code === 'EEXIST' ? read(file) : undefined;
    if (other === undefined) throw error;
    return other;
  } finally {
    closeSync(handle);
    rmSync(draft, { force: true });
  }
}
