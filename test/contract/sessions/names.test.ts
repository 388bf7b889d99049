// What names mean to a session's client goes with the session: written beside the answer, fenced, and at the latest when it is released.
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import { Exposer } from '../../../src/servers/exposer.js';
import { NameSaver } from '../../../src/sessions/name-saver.js';
import type { Session } from '../../../src/sessions/session.js';
import { SessionReleaser } from '../../../src/sessions/release-session.js';
import { waitFor } from '../../support/wait-for.js';
import { catalogMaker, server, tools } from '../../unit/servers/catalogs.js';
import { useWorld } from './fixture.js';
import { IDLE_MS, type TestWorker } from './world.js';

const use = useWorld();
const make = catalogMaker();
const exposer = new Exposer();
const BOTH = server(['a', 'b']);
const expose = (ofA: string[], ofB: string[]) => exposer.expose(BOTH, [make('a', tools(...ofA)), make('b', tools(...ofB))]);

async function begin() {
  const world = use();
  const worker = await world.worker('a');
  const session = await worker.open();
  worker.server = BOTH;
  return { world, worker, session, saver: new NameSaver({ directory: worker.directory, clock: world.clock }) };
}

const savedOf = (session: Session) => use().redis.hget(use().keys.session(session.facts.ref), 'n:tools');
const savesOf = (worker: TestWorker) => worker.verbs.filter((verb) => verb === 'saveNames').length;

it('is written once per change, and not at all for a server of one backend', async () => {
  const { worker, session, saver } = await begin();
  saver.note(session);
  session.pins.see(expose(['x'], ['y']), 'tools');
  for (let i = 0; i < 5; i++) saver.note(session);
  await waitFor('the names to be saved', async () => (await savedOf(session)) === '{"a":["x"],"b":["y"]}');
  await waitFor('the save to be known', () => session.savedPins === session.pins.version);
  saver.note(session);
  expect(savesOf(worker)).toBe(1);
  worker.server = server(['a']);
  session.pins.see(expose(['x'], ['y', 'z']), 'tools');
  saver.note(session);
  expect(savesOf(worker)).toBe(1);
});

it('what is shown while a write is on its way is written after it', async () => {
  const { worker, session, saver } = await begin();
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  worker.before = (verb) => (verb === 'saveNames' ? gate : undefined);
  session.pins.see(expose(['x'], []), 'tools');
  saver.note(session);
  session.pins.see(expose(['x'], ['x']), 'tools');
  saver.note(session);
  open();
  await waitFor('the last to be saved', async () => (await savedOf(session))?.includes('b__x'));
  expect(JSON.parse((await savedOf(session)) ?? '')).toEqual({ a: [['a__x', 'x'], 'x'], b: [['b__x', 'x']] });
});

it('is tried again while Redis is silent, and given up when the session is another worker’s', async () => {
  const { world, worker, session, saver } = await begin();
  worker.before = (verb) => {
    if (verb !== 'saveNames') return;
    worker.before = undefined;
    throw new DirectoryUnavailable('told to fail');
  };
  session.pins.see(expose(['x'], []), 'tools');
  saver.note(session);
  await waitFor('the names to be saved', async () => {
    world.clock.advance(100);
    return (await savedOf(session)) !== null;
  });
  const other = await world.worker('b');
  await worker.loseLease();
  const taken = await other.claim(session);
  expect(taken?.pins.toSaved()).toEqual({ tools: '{"a":["x"]}' });
  session.pins.see(expose([], ['x']), 'tools');
  await saver.flush(session);
  expect(await savedOf(session)).toBe('{"a":["x"]}');
});

it('goes into the record before the session is released', async () => {
  const { worker, session, saver } = await begin();
  const { directory, table } = worker;
  const parts = {
    directory,
    table,
    idleTimeoutMs: IDLE_MS,
    savers: [saver],
    onReleased: () => undefined,
    onLost: () => undefined,
  };
  session.pins.see(expose(['x'], ['y']), 'tools');
  await new SessionReleaser(parts).release([session]);
  expect(await savedOf(session)).toBe('{"a":["x"],"b":["y"]}');
  expect(await use().field(session.facts.ref, 'owner')).toBe('');
});
