// The scripts alone: any sequence of transitions, each with any token and any of them repeated, does to a record what a few lines of
// plain code say. What the directory answers and what it leaves behind are compared after every step.
import fc from 'fast-check';
import type { BackendSessionRecord, SessionRecord } from '../../../src/directory/directory.js';
import { RedisDirectory } from '../../../src/directory/redis-directory.js';
import type { OwnerToken, WorkerId } from '../../../src/protocol/ids.js';
import { backendSession, epochOf, IDLE_MS, newRecord, newRef, tokenOf } from '../directory/harness.js';
import { LONG_MS, runs, useRedis } from './fixture.js';

const use = useRedis();
const ALL = ['a.1', 'a.2', 'b.1'] as WorkerId[];

interface State {
  owner: WorkerId | '';
  epoch: number;
  nonce: string;
  state: SessionRecord['state'];
  saved: BackendSessionRecord | undefined;
}
type Model = { record: State | undefined };
type Call =
  | { do: 'create'; owner: WorkerId; epoch: number; nonce: string; replace: boolean; closing: boolean }
  | { do: 'claim'; from: OwnerToken; by: WorkerId; nonce: string }
  | { do: 'release' | 'close' | 'verify'; token: OwnerToken }
  | { do: 'save'; token: OwnerToken; previous: number; value: BackendSessionRecord }
  | { do: 'finish' | 'remove' };

const owner = fc.constantFrom(...ALL);
const epoch = fc.integer({ min: 1, max: 4 });
const nonce = fc.constantFrom('n1', 'n2', 'n3');
const token = fc.tuple(fc.constantFrom<WorkerId | ''>('', ...ALL), epoch).map(([who, at]) => tokenOf(who, at));
const value = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('x', 'y')).map(([n, sealed]) => backendSession(n, sealed));
const flags = { replace: fc.boolean(), closing: fc.constantFrom(false, false, false, true) };
const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), owner, epoch, nonce, ...flags }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('claim' as const), from: token, by: owner, nonce }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('release', 'close', 'verify'), token }) as fc.Arbitrary<Call> },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('save' as const), token, previous: fc.nat({ max: 2 }), value }) },
  { weight: 1, arbitrary: fc.constantFrom<Call>({ do: 'finish' }, { do: 'remove' }) },
);
/** Most tokens of a plain draw are wrong: `inForce` puts in the one that holds, `repeat` sends the same once more. */
const step = fc.record({ call, inForce: fc.boolean(), repeat: fc.boolean() });

const holds = (record: State, { owner: who, epoch: at }: OwnerToken) => record.owner === who && record.epoch === at;

/** What the directory has to answer, and what becomes of the record. */
function expected(model: Model, one: Call): unknown {
  const { record } = model;
  if (one.do === 'create') return expectedOfCreate(model, one);
  if (one.do === 'remove') {
    if (record?.state === 'closing') model.record = undefined;
    return 'done';
  }
  if (!record) return one.do === 'verify' ? 'missing' : { kind: 'missing' };
  switch (one.do) {
    case 'finish':
      return close(record);
    case 'close':
      return holds(record, one.token) ? close(record) : { kind: 'fenced' };
    case 'verify':
      return holds(record, one.token) ? (record.state === 'closing' ? 'closing' : 'valid') : 'fenced';
  }
  if (record.state === 'closing') return { kind: 'closing' };
  switch (one.do) {
    case 'claim': {
      const repeated = record.owner === one.by && record.epoch === one.from.epoch + 1 && record.nonce === one.nonce;
      if (!repeated && !holds(record, one.from)) return { kind: 'ownedByOther', token: tokenOf(record.owner, record.epoch) };
      Object.assign(record, { owner: one.by, epoch: one.from.epoch + 1, nonce: one.nonce });
      return { kind: 'claimed', epoch: record.epoch };
    }
    case 'release':
      if (!holds(record, one.token) && !(record.owner === '' && record.epoch === one.token.epoch)) return { kind: 'fenced' };
      record.owner = '';
      return { kind: 'released' };
    case 'save':
      if (!holds(record, one.token)) return { kind: 'fenced' };
      if (JSON.stringify(record.saved) !== JSON.stringify(one.value)) {
        if ((record.saved?.generation ?? 0) !== one.previous) return { kind: 'conflict' };
        record.saved = one.value;
      }
      return { kind: 'saved' };
  }
}

function expectedOfCreate(model: Model, one: Call & { do: 'create' }): string {
  const { record } = model;
  if (record?.state === 'closing') return 'closing';
  if (record && holds(record, tokenOf(one.owner, one.epoch))) {
    if (one.closing) record.state = 'closing';
    return 'created';
  }
  if (record && !(one.replace && record.epoch < one.epoch)) return 'exists';
  const { nonce: fresh, owner: who, epoch: at } = one;
  model.record = { owner: who, epoch: at, nonce: fresh, state: one.closing ? 'closing' : 'active', saved: undefined };
  return 'created';
}

function close(record: State) {
  const kind = record.state === 'closing' ? 'alreadyClosing' : 'closed';
  record.state = 'closing';
  return { kind };
}

class Subject {
  readonly ref = newRef();
  readonly directory = new RedisDirectory({ connection: use(), prefix: 'scripts:', idleTimeoutMs: IDLE_MS });

  async answer(one: Call): Promise<unknown> {
    const { directory, ref } = this;
    switch (one.do) {
      case 'create': {
        const state = one.closing ? ('closing' as const) : ('active' as const);
        return directory.createSession(
          ref,
          newRecord({ owner: one.owner, epoch: epochOf(one.epoch), state }),
          one.nonce,
          one.replace,
        );
      }
      case 'claim':
        return withoutRecord(await directory.claimSession(ref, one.from, one.by, one.nonce));
      case 'release':
        return directory.releaseSession(ref, one.token);
      case 'close':
        return withoutRecord(await directory.closeSession(ref, one.token));
      case 'verify':
        return (await directory.verifySessions([{ ref, token: one.token, generations: {}, standing: '' }]))[0];
      case 'save':
        return directory.saveBackendSession(ref, one.token, 'tickets', one.previous, one.value);
      case 'finish':
        return withoutRecord(await directory.closeSession(ref, undefined));
      case 'remove':
        await directory.removeSession(ref, '');
        return 'done';
    }
  }

  async state(): Promise<Omit<State, 'nonce'> | undefined> {
    const read = await this.directory.readSession(this.ref);
    if (read.kind !== 'found') return undefined;
    const { owner: who, epoch: at, state, backends } = read.record;
    return { owner: who, epoch: at, state, saved: backends.tickets };
  }
}

function withoutRecord<T extends object>(outcome: T): unknown {
  const { record: _, ...rest } = outcome as T & { record?: unknown };
  return rest;
}

function inForce(one: Call, record: State | undefined): Call {
  if (!record) return one;
  const now = tokenOf(record.owner, record.epoch);
  if ('token' in one) return { ...one, token: now };
  return one.do === 'claim' ? { ...one, from: now } : one;
}

it(
  'do to a record what the model says, repeated or not',
  () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
        const subject = new Subject();
        const model: Model = { record: undefined };
        for (const { call: drawn, inForce: right, repeat } of steps) {
          const one = right ? inForce(drawn, model.record) : drawn;
          const epochBefore = model.record?.epoch ?? 0;
          for (let i = 0; i < (repeat ? 2 : 1); i++) {
            expect(await subject.answer(one)).toEqual(expected(model, one));
            const { record } = model;
            const left = record && { owner: record.owner, epoch: record.epoch, state: record.state, saved: record.saved };
            expect(await subject.state()).toEqual(left);
          }
          if (model.record) expect(model.record.epoch).toBeGreaterThanOrEqual(epochBefore);
        }
      }),
      runs(150),
    ),
  LONG_MS,
);

it(
  'give one of all who claim from one token the session, and every repeat its first result',
  () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(owner, nonce), { minLength: 2, maxLength: 8 }), async (claims) => {
        const subject = new Subject();
        const { ref, directory } = subject;
        await directory.createSession(ref, newRecord({ owner: 'dead.1' as WorkerId }), 'n0');
        const from = tokenOf('dead.1' as WorkerId, 1);
        const outcomes = await Promise.all(claims.map(([by, with_]) => directory.claimSession(ref, from, by, with_)));
        const [first] = claims;
        outcomes.forEach((outcome, i) => {
          const same = claims[i]?.[0] === first?.[0] && claims[i]?.[1] === first?.[1];
          expect(outcome.kind).toBe(same ? 'claimed' : 'ownedByOther');
        });
        expect((await subject.state())?.epoch).toBe(2);
      }),
      runs(50),
    ),
  LONG_MS,
);
