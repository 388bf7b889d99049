// What a client has asked for that stands (log level, subscriptions) goes with its session: into the record, to the next owner, and to
// backend sessions that open later, before anything else is called there.
import type { BackendInfo, BackendSession } from '../../../src/backends/backend.js';
import type { OwnRequest } from '../../../src/backends/own-requests.js';
import type { JsonRpcResponse } from '../../../src/protocol/json-rpc.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import type { Session } from '../../../src/sessions/session.js';
import { StandingRequests } from '../../../src/sessions/standing-requests.js';
import { waitFor } from '../../support/wait-for.js';
import { useWorld } from './fixture.js';
import type { TestWorker } from './world.js';

const use = useWorld();
const keyring = makeKeyring(['secret']);
const INFO: BackendInfo = { protocolVersion: '2025-11-25', capabilities: { logging: {}, resources: { subscribe: true } } };

function standingOf(worker: TestWorker, answer: (request: OwnRequest) => Promise<Partial<JsonRpcResponse>> = async () => ({})) {
  const asked: OwnRequest[] = [];
  const warnings: object[] = [];
  const request = (_backend: unknown, one: OwnRequest) => {
    asked.push(one);
    return answer(one) as Promise<JsonRpcResponse>;
  };
  const standing = new StandingRequests({
    ownRequests: { request },
    clock: worker.world.clock,
    keyring,
    directory: worker.directory,
    backendOf: (session, name) => session.backends.get(name),
    warn: (_message, details) => warnings.push(details),
  });
  return { standing, asked, warnings };
}

const savedOf = ({ facts }: Session) => use().redis.hget(use().keys.session(facts.ref), 'standing');
const put = (session: Session, more: object = {}) =>
  session.backends.set('tickets', { backend: 'tickets', ...more } as unknown as BackendSession);
const requestsOf = (asked: OwnRequest[]) => asked.map(({ method, params }) => [method, ...Object.values(params)]);

it('a client that never asked for anything costs nothing', async () => {
  const worker = await use().worker('a');
  const { standing, asked } = standingOf(worker);
  const session = await worker.open();
  put(session);
  expect(standing.opened(session, 'tickets', INFO, {})).toBeUndefined();
  standing.listening(session);
  expect(standing.saver.note(session)).toBeUndefined();
  expect([asked, session.standing]).toEqual([[], undefined]);
});

it('is in the record, sealed, before the client hears of it, written once per change, and removed with the last of it', async () => {
  const worker = await use().worker('a');
  const { standing } = standingOf(worker);
  const session = await worker.open();
  standing.of(session).level = 'debug';
  standing.of(session).subscribe('tickets', 'ticket://secret');
  await standing.changed(session);
  expect(await savedOf(session)).toMatch(/^[0-9a-f]{8}\.[\w-]+$/);
  expect(worker.verbs.filter((verb) => verb === 'saveStanding')).toHaveLength(1);
  standing.of(session).level = undefined;
  expect(standing.of(session).unsubscribe('tickets', 'ticket://secret')).toBe(true);
  await standing.changed(session);
  expect(await savedOf(session)).toBeNull();
});

it('survives its owner: the next one asks for it at a backend session that replaces a lost one, level first, and tells of every resource', async () => {
  const [worker, heir] = [await use().worker('a'), await use().worker('b')];
  const before = standingOf(worker);
  const session = await worker.open();
  before.standing.of(session).level = 'debug';
  for (const uri of ['t://1', 't://2']) before.standing.of(session).subscribe('tickets', uri);
  before.standing.of(session).subscribe('gone', 't://3');
  await before.standing.changed(session);
  await worker.die();

  const read = await heir.directory.readSession(session.facts.ref);
  if (read.kind !== 'found') throw new Error('no record');
  const taken = await heir.takeOver.takeOver(session.facts.id, session.token, read.record);
  if (!taken) throw new Error('not taken over');
  const after = standingOf(heir);
  const told: string[] = [];
  taken.streams.tell = (json) => told.push(JSON.parse(json.toString()).params.uri) > 0;
  put(taken);
  const headers = { 'x-tenant': 't' };
  await after.standing.opened(taken, 'tickets', INFO, headers);
  expect(requestsOf(after.asked)[0]).toEqual(['logging/setLevel', 'debug']);
  const subscribe = (uri: string) => ['resources/subscribe', uri];
  expect(requestsOf(after.asked).slice(1).sort()).toEqual([subscribe('t://1'), subscribe('t://2')]);
  expect(after.asked.every((one) => one.isPreparation && one.headers === headers)).toBe(true);
  expect(told.sort()).toEqual(['t://1', 't://2']);

  // A backend is asked only for what it declared.
  after.asked.length = 0;
  expect(after.standing.opened(taken, 'tickets', { ...INFO, capabilities: { resources: {} } }, {})).toBeUndefined();
  expect(after.asked).toEqual([]);
});

it('what a new backend session refuses, or never answers, holds up no call for longer than its bound', async () => {
  const worker = await use().worker('a');
  const error = { code: -32603, message: 'no' };
  const refusing = standingOf(worker, async () => ({ error }));
  const session = await worker.open();
  put(session);
  refusing.standing.of(session).level = 'info';
  await refusing.standing.opened(session, 'tickets', INFO, {});
  expect(refusing.warnings).toEqual([{ session: session.facts.ref, backend: 'tickets', refused: 1 }]);
  expect(refusing.asked[0]?.deadlineMs).toBe(worker.world.clock.monotonicMs() + 5000);
});

it('fenced, the client is not told that it stands: it is asked again at the owner', async () => {
  const worker = await use().worker('a');
  const { standing } = standingOf(worker);
  const session = await worker.open();
  standing.of(session).level = 'debug';
  worker.before = () => {
    session.state = 'reclaiming';
  };
  await expect(standing.changed(session)).rejects.toMatchObject({ code: 'NOT_OWNER' });
});

it('Redis that comes back with older data gets it again, and one that comes back empty', async () => {
  const world = use();
  const worker = await world.worker('a');
  const { standing } = standingOf(worker);
  const session = await worker.open();
  const older = await world.snapshot();
  standing.of(session).level = 'debug';
  await standing.changed(session);
  const saved = await savedOf(session);
  await world.restore(older);
  worker.reclaim.distrust(world.clock.monotonicMs() + 60_000);
  await worker.reclaim.verify(Promise.resolve(false));
  expect(await savedOf(session)).toBe(saved);

  await world.redis.del(world.keys.session(session.facts.ref));
  worker.reclaim.distrust(world.clock.monotonicMs() + 60_000);
  await worker.reclaim.verify(Promise.resolve(false));
  expect(await savedOf(session)).toBe(saved);
});

it('a backend whose state is gone is opened again for its subscriptions as long as the client listens', async () => {
  const worker = await use().worker('a');
  const { clock } = worker.world;
  const { standing } = standingOf(worker);
  const session = await worker.open();
  let opened = 0;
  const open = async () => {
    opened++;
    if (opened === 1) throw new Error('still away');
    return INFO;
  };
  put(session, { isOpen: false, open });
  standing.of(session).subscribe('tickets', 't://1');
  standing.lost(session, 'tickets');
  session.standalone = session.streams.standalone;
  standing.listening(session);
  standing.lost(session, 'tickets');
  await waitFor('it to be opened, after one failure', () => {
    clock.advance(1000);
    return opened === 2;
  });
  clock.advance(120_000);
  expect(opened).toBe(2);
  standing.of(session).unsubscribe('tickets', 't://1');
  standing.lost(session, 'tickets');
  clock.advance(120_000);
  expect(opened).toBe(2);
});

it('subscriptions of one session are bounded in number and length', async () => {
  const worker = await use().worker('a');
  const standing = standingOf(worker).standing.of(await worker.open());
  const subscribe = (uri: string) => () => standing.subscribe('tickets', uri);
  expect(subscribe('x'.repeat(33_000))).toThrow(expect.objectContaining({ code: 'SUBSCRIPTIONS_FULL' }));
  for (let i = 0; i < 500; i++) expect(standing.subscribe(i % 2 ? 'tickets' : 'files', `t://${i}`)).toBe(true);
  expect(subscribe('t://more')).toThrow(expect.objectContaining({ code: 'SUBSCRIPTIONS_FULL' }));
  expect(standing.subscribe('files', 't://0')).toBe(false);
  standing.unsubscribe('files', 't://0');
  expect(standing.subscribe('tickets', 't://more')).toBe(true);
});
