// One request for each of several references: all are asked, whatever comes of the others.
import { EXIT, StartError } from '../errors/start-error.js';
import type { Json } from './admin-client.js';
import type { AdminRun } from './admin-command.js';
import type { CommandContext } from './context.js';

/** @returns the exit code: that of the first one that failed, else 0 */
export async function askEach(
  { client, show }: AdminRun,
  ids: readonly string[],
  method: 'POST' | 'DELETE',
  pathOf: (id: string) => string,
  /** What has become of one, for the output. */
  done: string,
  { err }: CommandContext,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  const results: Json[] = [];
  for (const id of ids) {
    try {
      results.push(await client.ask(method, pathOf(id)));
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      // Of the address or the token: the others would hear the same.
      if (error.exitCode === EXIT.unavailable && ids.length === 1) throw error;
      err(`berth: ${id}: ${error.message}\n`);
      if (exitCode === EXIT.ok) exitCode = error.exitCode;
    }
  }
  if (results.length) show({ results }, () => results.map((result) => `${String(result.id ?? result.ref)}  ${done}\n`).join(''));
  return exitCode;
}
