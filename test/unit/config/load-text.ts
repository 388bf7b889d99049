// A configuration from text, as if it stood in a file of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../../../src/config/load.js';
import { StartError } from '../../../src/errors/start-error.js';

export type TextOptions = Partial<Pick<LoadOptions, 'env' | 'flags'>> & { readonly name?: string };

export function loadText(text: string, { name = 'berth.yaml', env = {}, flags = {} }: TextOptions = {}): LoadedConfig {
  const directory = mkdtempSync(join(tmpdir(), 'berth-config-'));
  try {
    writeFileSync(join(directory, name), text);
    return loadConfig({ file: name, cwd: directory, env, flags });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The message of the refusal; fails if it is none, or has another exit code than 78. */
export function refusal(text: string, options?: TextOptions): string {
  try {
    loadText(text, options);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    expect(error.exitCode).toBe(78);
    return error.message;
  }
  throw new Error('the configuration was accepted');
}
