// Who is remembered as owner, and who is not any more once a session was ended in its place.
import type { Lease } from '../../../src/directory/directory.js';
import { type Epoch, mintSessionId, referenceOf, type SessionId, type WorkerId } from '../../../src/protocol/ids.js';
import { type KnownOwner, OwnerCache } from '../../../src/routing/owner-cache.js';

const ownerOf = (id: SessionId): KnownOwner => ({
  ref: referenceOf(id),
  token: { owner: 'w.1' as WorkerId, epoch: 1 as Epoch },
  lease: {} as Lease,
  protocolVersion: '2025-11-25',
});

it('an ended session has no owner, and others keep theirs', () => {
  const cache = new OwnerCache();
  const [ended, other] = [mintSessionId(), mintSessionId()];
  for (const id of [ended, other]) cache.set(id, ownerOf(id));
  // Set anew, as after a change of owner.
  cache.set(ended, ownerOf(ended));
  cache.end(referenceOf(ended));
  expect([cache.get(ended), cache.get(other)]).toEqual([undefined, ownerOf(other)]);
  expect([cache.hasEnded(referenceOf(ended)), cache.hasEnded(referenceOf(other))]).toEqual([true, false]);
});

it('remembers a bounded number; the end of what it has forgotten concerns no other', () => {
  const cache = new OwnerCache();
  const first = mintSessionId();
  cache.set(first, ownerOf(first));
  for (let i = 0; i < 20_000; i++) {
    const id = mintSessionId();
    cache.set(id, ownerOf(id));
  }
  expect([cache.size, cache.get(first)]).toEqual([20_000, undefined]);
  cache.end(referenceOf(first));
  expect(cache.size).toBe(20_000);
});
