// An operator ends a session through a worker that does not own it (S97): by its owner, or in its place.
import { killSession } from '../../../src/sessions/kill-session.js';
import { mintSessionId, referenceOf, type SessionRef } from '../../../src/protocol/ids.js';
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import { makeGate, type TestWorker } from './world.js';

const use = useWorld();
const kill = ({ directory, teller }: TestWorker, ref: SessionRef) => killSession({ directory, teller }, ref);

async function ownedByAnother() {
  const world = use();
  const [owner, asked] = [await world.worker('owner'), await world.worker('asked')];
  const session = await owner.open();
  return { world, owner, asked, session, ref: session.facts.ref };
}

it('its owner ends it, and counts it as killed', async () => {
  const { owner, asked, session, ref } = await ownedByAnother();
  expect(await kill(asked, ref)).toBe('killed');
  expect([session.state, owner.ended, asked.ended]).toEqual(['ended', ['killed'], []]);
  expect([...owner.announced, ...asked.announced]).toEqual([]);
  expect(await asked.route(session)).toEqual({ kind: 'gone' });
  expect(await kill(asked, ref)).toBe('gone');
});

it('the worker that is asked may be the owner', async () => {
  const { owner, session, ref } = await ownedByAnother();
  expect(await kill(owner, ref)).toBe('killed');
  expect([session.state, owner.ended]).toEqual(['ended', ['killed']]);
});

it('in place of an owner that is silent, which hears of it later; a second time there is none', async () => {
  const { world, owner, asked, session, ref } = await ownedByAnother();
  owner.isSilent = true;
  expect(await kill(asked, ref)).toBe('killed');
  expect([await world.field(ref, 'state'), await asked.route(session)]).toEqual(['closing', { kind: 'gone' }]);
  expect(await kill(asked, ref)).toBe('gone');
  owner.isSilent = false;
  await waitFor('the owner to have ended it', () => {
    world.clock.advance(1000);
    return session.state === 'ended';
  });
});

it('a dead owner is replaced in this', async () => {
  const { owner, asked, ref } = await ownedByAnother();
  await owner.die();
  expect(await kill(asked, ref)).toBe('killed');
  expect(asked.ended).toEqual(['killed']);
  // It may be stopped instead of dead: hops to it would hang.
  expect(asked.announced).toEqual([ref]);
});

it('one that changes its owner meanwhile is ended at the new one', async () => {
  const { world, owner, asked, session, ref } = await ownedByAnother();
  const third = await world.worker('third');
  const gate = makeGate();
  let reads = 0;
  asked.before = (verb) => (verb === 'readSession' && ++reads === 2 ? gate.passed : undefined);
  const killing = kill(asked, ref);
  await waitFor('it to be about to tell the first owner', () => reads === 2);
  await owner.loseLease();
  expect((await third.claim(session))?.mayAct()).toBe(true);
  gate.open();
  expect(await killing).toBe('killed');
  expect(third.ended).toEqual(['killed']);
});

it('there is nothing to end of one that never was', async () => {
  const { asked } = await ownedByAnother();
  expect(await kill(asked, referenceOf(mintSessionId()))).toBe('gone');
});
