// A primary that died without a word (SIGKILL) counts as its pod's death: whoever survives it ends what it left behind.
import { killGroup } from '../lifecycle/process-group.js';
import type { StdioGroup } from './messages.js';

/**
 * Ends process groups that must not outlive the primary: stdio children and the embedded Redis. Several workers may do it at once.
 *
 * By SIGKILL, because nobody is left who could look after one that does not obey. It costs Redis nothing that it has confirmed:
 * the append-only file is written before a reply leaves, and only a crash of the machine loses what was written. Synchronous,
 * because the caller exits right after it.
 */
export function endGuarded(processes: Iterable<StdioGroup>): void {
  for (const guarded of processes) killGroup(guarded, 'SIGKILL');
}
