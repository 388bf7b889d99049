// An operator ends a session, whoever owns it: tells the owner, and where that one is silent or cannot, ends it in its place, so that
// the id is dead on every worker within a second.
import type { Directory } from '../directory/directory.js';
import type { SessionRef } from '../protocol/ids.js';
import type { OwnerTeller } from './tell-owner.js';

/** gone: there is none, or it was ended already · later: who owns it cannot be told or known now. */
export type KillOutcome = 'killed' | 'gone' | 'later';

/** An owner has less time than for a DELETE of a client: what is left of the second is needed to end the session in its place. */
const OWNER_MS = 600;
const MAX_MOVES = 3;

/** @throws DirectoryUnavailable, UnreadableRecord */
export async function killSession(
  { directory, teller }: { readonly directory: Directory; readonly teller: OwnerTeller },
  ref: SessionRef,
): Promise<KillOutcome> {
  for (let moves = 0; moves < MAX_MOVES; moves++) {
    const read = await directory.readSession(ref);
    if (read.kind === 'settling') return 'later';
    if (read.kind === 'gone' || read.record.state === 'closing') return 'gone';
    const { owner, epoch, serverId, principal } = read.record;
    const told = await teller.tell(ref, 'killed', OWNER_MS);
    if (told === 'ended') return 'killed';
    if (told === 'gone') return 'gone';
    const closed = await teller.closeInPlaceOf({ owner, epoch }, ref, { serverId, principal });
    if (closed !== 'moved') return closed === 'closing' ? 'killed' : 'gone';
  }
  return 'later';
}
