// S19: Redis loses every key. Sessions whose owner's lease was valid are opened anew from memory; what was ended stays ended; a
// worker that was stopped meanwhile opens nothing.
import { referenceOf, type SessionId } from '../../src/protocol/ids.js';
import { makeKeys } from '../../src/directory/keys.js';
import { expectOnce, HTTP, type OpenSession, startLoad, startWorld, STDIO, tally, type World } from '../support/trouble.js';
import { waitFor } from '../support/wait-for.js';

jest.setTimeout(60_000);

const LEASE_MS = 2000;

let world: World;

beforeEach(async () => {
  world = await startWorld({ config: { internal: { lease: `${LEASE_MS}ms` }, limits: { hold: '6s' } } });
});
afterEach(async () => {
  await world?.dispose();
});

async function end(session: OpenSession): Promise<void> {
  const [pod] = world.cluster.pods;
  const headers = { 'mcp-session-id': session.id };
  const answer = await pod?.sendTo(pod.workers()[0] as number, { method: 'DELETE', path: session.path, headers });
  expect(answer?.status).toBe(202);
}

test('live sessions go on through every worker without a failed call, ended ones are held and then 404', async () => {
  const sessions = await Promise.all([HTTP, HTTP, HTTP, STDIO, STDIO].map((path) => world.open(path)));
  const before = await Promise.all(sessions.map((session) => session.backendPid()));
  const issued = world.backend.issued.length;
  const [early, late] = await Promise.all([world.open(HTTP), world.open(STDIO)]);
  await end(early);
  const load = startLoad(sessions);
  await load.untilAllServed(5000);

  await end(late);
  await world.cluster.client.flushall();
  expect(tally(await Promise.all([early.call(), late.call()]))).toEqual({ '404': 2 });
  await waitFor('every record to be there again', async () => {
    const keys = makeKeys(world.cluster.prefix);
    const refs = sessions.map(({ id }) => referenceOf(id as SessionId));
    const found = await Promise.all(refs.map((ref) => world.cluster.client.hget(keys.session(ref), 'state')));
    const places = await world.cluster.client.zcard(keys.expiry);
    return found.every((state) => state === 'active') && places === sessions.length;
  });
  await load.untilAllServed(10_000);
  const answers = await load.stop();

  expect(tally(answers)).toEqual({ ok: answers.length });
  expectOnce(world, answers);
  expect(await Promise.all(sessions.map((session) => session.backendPid()))).toEqual(before);
  expect(world.backend.issued).toHaveLength(issued);
  for (const ended of [early, late]) expect((await ended.call()).kind).toBe('404');
  // Registered once: ending them works as ever.
  for (const session of sessions) await end(session);
  expect(tally(await Promise.all(sessions.map((session) => session.call())))).toEqual({ '404': sessions.length });
});

test('a worker that was stopped meanwhile registers nothing: its session is gone on every worker', async () => {
  const session = await world.open(HTTP);
  expect((await session.call()).kind).toBe('ok');
  const owner = await world.cluster.ownerOf(session.id);
  const others = world.cluster.workers().filter(({ pid }) => pid !== owner.pid);
  const [other] = others as [(typeof others)[number], ...typeof others];
  process.kill(owner.pid, 'SIGSTOP');
  try {
    await world.cluster.client.flushall();
    const key = makeKeys(world.cluster.prefix).lease(owner.worker);
    await waitFor('the others to settle', async () => (await lookUp(other, session)) === 404, 15_000);
    expect(await world.cluster.client.exists(key)).toBe(0);
  } finally {
    process.kill(owner.pid, 'SIGCONT');
  }
  await waitFor('its owner to tell that it is gone', async () => (await lookUp(owner, session)) === 404, 15_000);
  const ref = referenceOf(session.id as SessionId);
  expect(await world.cluster.client.exists(makeKeys(world.cluster.prefix).session(ref))).toBe(0);
});

async function lookUp({ pod, pid }: ReturnType<World['cluster']['workers']>[number], { id, path }: OpenSession): Promise<number> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
  const headers = { 'mcp-session-id': id, 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  return (await pod.sendTo(pid, { path, headers, body })).status;
}
