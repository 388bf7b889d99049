// Questions of backends to the client: who is asked, whose answer counts, what is bounded.
import { settle } from './lease-fixture.js';
import { EVERYTHING, make, makeSession } from './questions-fixture.js';

test('the client is asked under an id of ours, and its answer reaches who asked under the original one', () => {
  const { ask, told, lastId, answer, delivered, counts } = make();
  expect(ask(7, 'sampling/createMessage', { maxTokens: 3 })).toBeUndefined();
  expect(JSON.parse(told[0] as string)).toMatchObject({ method: 'sampling/createMessage', params: { maxTokens: 3 } });
  expect(told[0]).not.toContain('"b"');
  expect(answer(lastId())).toBe('delivered');
  expect(delivered).toEqual([{ backend: 'b', id: 7, json: '{"jsonrpc":"2.0","id":7,"result":{"ok":true}}' }]);
  expect(counts).toEqual(['asked', 'answered']);
});

test('two backends may use one id, and "1" is not 1', () => {
  const { ask, lastId, answer, delivered } = make();
  ask(1);
  const first = lastId();
  ask(1, 'roots/list', {}, { backend: 'c' });
  const second = lastId();
  ask('1');
  const third = lastId();
  for (const id of [third, second, first]) expect(answer(id)).toBe('delivered');
  expect(delivered.map(({ backend, id }) => [backend, id])).toEqual([
    ['b', '1'],
    ['c', 1],
    ['b', 1],
  ]);
});

test('a second answer is dropped; what was never asked, or in another session, is unknown', () => {
  const { ask, lastId, answer, delivered, counts } = make();
  ask(1);
  const id = lastId();
  expect(answer(id, {}, makeSession().session)).toBe('unknown');
  expect(answer(id)).toBe('delivered');
  expect(answer(id)).toBe('dropped');
  // The last character has bits that mean nothing: another spelling of the same id is none of ours.
  const spellings = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].map((last) => id.slice(0, -1) + last);
  for (const spelling of spellings) expect(answer(spelling)).toBe(spelling === id ? 'dropped' : 'unknown');
  for (const forged of [1, '1', 'x.y', `${id}.`, '']) expect(answer(forged)).toBe('unknown');
  expect(delivered).toHaveLength(1);
  expect(counts.filter((outcome) => outcome === 'unknown')).toHaveLength(69);
});

test('an owner who has not asked delivers the answer to the backend session that did, and to no later one', () => {
  const { ask, lastId, answer, session } = make();
  ask('q');
  const heir = makeSession(EVERYTHING, session.facts.id);
  expect(answer(lastId(), {}, heir.session)).toBe('delivered');
  expect(heir.delivered.map(({ id }) => id)).toEqual(['q']);
  expect(answer(lastId(), {}, heir.session)).toBe('dropped');
  const late = makeSession(EVERYTHING, session.facts.id);
  late.open('b', 2);
  expect(answer(lastId(), {}, late.session)).toBe('dropped');
  expect(late.delivered).toEqual([]);
});

test('what an owner has delivered its successor drops; an owner that may not act says nothing', () => {
  const { ask, lastId, answer, session, marks } = make();
  ask(1);
  const first = lastId();
  expect(answer(first)).toBe('delivered');
  expect(answer(first)).toBe('dropped');
  ask(2);
  session.state = 'reclaiming';
  expect(answer(lastId())).toBe('delivered');
  expect(marks).toHaveLength(1);
  expect(marks[0]).toMatch(/^[\w-]{15}$/);
  // For the record, should it be lost.
  expect([...(session.answered ?? [])]).toEqual(marks);
  for (let n = 0; n < 64; n++) session.noteAnswered(`mark ${n}`);
  expect(session.answered?.size).toBe(64);
  expect(session.answered?.has(marks[0] as string)).toBe(false);
  const heir = makeSession(EVERYTHING, session.facts.id);
  heir.session.answered = new Set(marks);
  expect(answer(first, {}, heir.session)).toBe('dropped');
  expect(answer(lastId(), {}, heir.session)).toBe('delivered');
});

test('who asked is closed by a reload: the answer goes to what carries its backend session on, if anything does', () => {
  const { ask, lastId, answer, session, open, delivered } = make();
  ask(1, 'roots/list', {}, { backend: 'b' });
  ask(2, 'roots/list', {}, { backend: 'c' });
  const second = lastId();
  for (const backend of session.backends.values()) Object.assign(backend, { isOpen: false, respond: () => Promise.reject() });
  open('c', 1);
  expect(answer(second)).toBe('delivered');
  session.backends.delete('b');
  ask(3, 'roots/list', {}, { from: { isOpen: false, respond: () => Promise.reject() } });
  expect(answer(lastId())).toBe('dropped');
  expect(delivered.map(({ backend, id }) => [backend, id])).toEqual([['c', 2]]);
});

test('what the client did not declare is refused with the name of it', () => {
  const { ask, told, counts } = make({ roots: {}, elicitation: { url: {} } });
  expect(ask(1)).toEqual({ code: -32601, message: expect.stringContaining('sampling') });
  expect(ask(2, 'no/such')).toEqual({ code: -32601, message: 'Method not found' });
  expect(ask(3, 'elicitation/create')).toEqual({ code: -32602, message: expect.stringContaining('elicitation.form') });
  expect(ask(4, 'elicitation/create', { mode: 'url' })).toBeUndefined();
  expect(ask(5, 'roots/list')).toBeUndefined();
  expect(told).toHaveLength(2);
  expect(counts.slice(0, 3)).toEqual(['undeclared', 'undeclared', 'undeclared']);
  expect(make({ elicitation: {} }).ask(6, 'elicitation/create')).toBeUndefined();
  expect(make({ elicitation: {} }).ask(7, 'elicitation/create', { mode: 'url' })?.code).toBe(-32602);
  for (const odd of [7, null, 'sampling', { sampling: true }]) expect(make(odd).ask(8)?.code).toBe(-32601);
});

test('without a call the standalone stream is asked; whose caller takes JSON alone, and never listened, is refused at once', () => {
  const { ask, session, counts } = make();
  expect(ask(1, 'roots/list', {}, { sink: undefined, isUnheard: true })).toMatchObject({ code: -32603 });
  session.standalone = session.streams.standalone;
  expect(ask(2, 'roots/list', {}, { sink: undefined })).toBeUndefined();
  expect(session.streams.standalone.lastSeq).toBe(1);
  expect(counts).toEqual(['nobody', 'asked']);
});

test('a withdrawn question is told to the client under our id, and its answer is dropped', () => {
  const { requests, session, ask, lastId, answer, delivered } = make();
  ask(5);
  const json = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5,"reason":"late"}}';
  expect(requests.withdraw(session, 'c', 5, json)).toBeUndefined();
  const told = JSON.parse(requests.withdraw(session, 'b', 5, json) as string);
  expect(told.params).toEqual({ requestId: lastId(), reason: 'late' });
  expect(requests.withdraw(session, 'b', 5, json)).toBeUndefined();
  expect(answer(lastId())).toBe('dropped');
  ask(6);
  requests.forget(session, 'b', 6);
  expect(answer(lastId())).toBe('dropped');
  expect(delivered).toEqual([]);
});

test('a backend takes back what we have given up on, once: the client has not, and its dialog is open', () => {
  const { requests, session, ask, lastId, answer, clock, counts } = make();
  const takeBack = (id: number) => {
    const text = requests.withdraw(session, 'b', id, '{"method":"notifications/cancelled","params":{"requestId":0}}');
    return text && JSON.parse(text).params.requestId;
  };
  ask(1);
  const forgotten = lastId();
  requests.forget(session, 'b', 1);
  ask(2);
  const unanswered = lastId();
  clock.advance(10 * 60_000);
  expect(counts.at(-1)).toBe('unanswered');
  ask(3);
  expect(answer(lastId())).toBe('delivered');
  expect([1, 2, 3].map(takeBack)).toEqual([forgotten, unanswered, undefined]);
  expect([1, 2, 3].map(takeBack)).toEqual([undefined, undefined, undefined]);
  for (const id of [forgotten, unanswered]) expect(answer(id)).toBe('dropped');
});

test('what is asked while the session is being claimed back is kept for the record, and saved as soon as it may be', async () => {
  const { ask, session, asked, lastId } = make();
  session.state = 'reclaiming';
  ask(1);
  expect([session.asked?.all, asked]).toEqual([[lastId()], []]);
  session.settle('active');
  await settle();
  expect(asked).toEqual([lastId()]);
  session.state = 'reclaiming';
  ask(2);
  session.settle('released');
  await settle();
  expect(asked).toHaveLength(1);
});

test('what an owner has asked its successor can take back under the id that the client knows: what is open, of that backend session', () => {
  const { requests, session, ask, lastId, answer, asked } = make();
  const ids = [5, '5', 6].map((id) => {
    ask(id);
    return lastId();
  });
  // Once more under the same id: the newest is meant.
  requests.forget(session, 'b', 5);
  ask(5);
  ids.push(lastId());
  expect(asked).toEqual(ids);
  expect(session.asked?.all).toEqual(ids);
  const heir = makeSession(EVERYTHING, session.facts.id).session;
  for (const ours of asked) heir.noteAsked(ours);
  const takeBack = (backend: string, id: number | string) => {
    const text = requests.withdraw(heir, backend, id, '{"method":"notifications/cancelled","params":{"requestId":0}}');
    return text && JSON.parse(text).params.requestId;
  };
  expect([takeBack('c', 5), takeBack('b', 7)]).toEqual([undefined, undefined]);
  expect([takeBack('b', 5), takeBack('b', '5')]).toEqual([ids[3], ids[1]]);
  // The first one as well: nobody has answered it.
  expect([takeBack('b', 5), takeBack('b', '5'), takeBack('b', 5)]).toEqual([ids[0], undefined, undefined]);
  expect(answer(ids[1] as string, {}, heir)).toBe('dropped');
  // A backend that has begun anew has asked nothing.
  heir.backends.set('b', { record: { generation: 2 } } as never);
  expect(takeBack('b', 6)).toBeUndefined();
});

test('progress of the client reaches who asked, under its own token', () => {
  const { ask, told, requests, session, open } = make();
  ask(1, 'sampling/createMessage', { _meta: { progressToken: 4, x: 1 }, maxTokens: 2 });
  const { id, params } = JSON.parse(told[0] as string);
  expect(params).toEqual({ _meta: { progressToken: id, x: 1 }, maxTokens: 2 });
  const progress = (progressToken: unknown) => ({
    jsonrpc: '2.0' as const,
    method: 'notifications/progress',
    params: { progressToken, progress: 1 },
  });
  expect(requests.progress(session, progress(id))).toEqual({ backend: session.backends.get('b'), message: progress(4) });
  for (const foreign of [4, '4', undefined]) expect(requests.progress(session, progress(foreign))).toBeUndefined();
  ask(2, 'sampling/createMessage', { text: 'progressToken' });
  expect(requests.progress(session, progress(JSON.parse(told[1] as string).id))).toBeUndefined();
  open('b', 2);
  expect(requests.progress(session, progress(id))).toBeUndefined();
});

test('so many wait and no more; of one that has waited for very long the backend is told that nobody answered', () => {
  const { ask, clock, lastId, answer, delivered, counts } = make();
  for (let id = 1; id <= 64; id++) expect(ask(id)).toBeUndefined();
  expect(ask(65)).toMatchObject({ code: -32603 });
  expect(answer(lastId())).toBe('delivered');
  expect(ask(66)).toBeUndefined();
  expect(ask(67)).toMatchObject({ code: -32603 });
  clock.advance(10 * 60_000);
  expect(delivered).toHaveLength(1 + 64);
  expect(JSON.parse(delivered.at(-1)?.json as string)).toMatchObject({ id: 66, error: { code: -32603 } });
  expect(counts.filter((outcome) => outcome === 'unanswered')).toHaveLength(64);
  expect(answer(lastId())).toBe('dropped');
  expect(clock.pendingTimers).toBe(0);
  expect(ask(68)).toBeUndefined();
  expect(ask('x'.repeat(257))).toMatchObject({ code: -32600, message: expect.stringContaining('256') });
  // Both are in the id that the client sees, and in the record.
  const withToken = (length: number) => ask(69, 'roots/list', { _meta: { progressToken: 'x'.repeat(length) } });
  expect(withToken(257)).toMatchObject({ code: -32600, message: expect.stringContaining('256') });
  expect(withToken(256)).toBeUndefined();
});

test('a question as a task is asked as an ordinary one: nobody declared tasks to the backend', () => {
  const { ask, told, lastId } = make({ ...EVERYTHING, tasks: { requests: { elicitation: { create: {} } } } });
  ask(1, 'elicitation/create', { message: 'm', task: { ttl: 60_000 } });
  expect(JSON.parse(told[0] as string)).toEqual({
    ...{ jsonrpc: '2.0', id: lastId(), method: 'elicitation/create' },
    params: { message: 'm' },
  });
  ask(2, 'elicitation/create', { message: 'm', task: {}, _meta: { progressToken: 4 } });
  expect(JSON.parse(told[1] as string).params).toEqual({ message: 'm', _meta: { progressToken: lastId() } });
  ask(3, 'elicitation/create', { message: '"task"', n: 1 });
  expect(JSON.parse(told[2] as string).params).toEqual({ message: '"task"', n: 1 });
});

test("numbers come through as they are, and a message is not more than a response to a backend's parser", async () => {
  const { ask, lastId, requests, session, delivered, answer } = make();
  ask(1);
  const bytes = `{"jsonrpc":"2.0","id":${JSON.stringify(lastId())},"result":{"n":12345678901234567890}}`;
  requests.answer(session, JSON.parse(bytes), Buffer.from(bytes), {});
  expect(delivered[0]?.json).toBe('{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890}}');
  ask(2);
  answer(lastId(), {}, session, { METHOD: 'tools/call', extra: 1 });
  expect(JSON.parse(delivered[1]?.json as string)).toEqual({ jsonrpc: '2.0', id: 2, result: {} });
});

test('an answer that cannot be written is refused, and another one is taken', () => {
  const { ask, lastId, requests, session, answer } = make();
  ask(1);
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  const bytes = `{"jsonrpc":"2.0","id":${JSON.stringify(lastId())},"result":{"deep":${deep}},"extra":1}`;
  expect(() => requests.answer(session, JSON.parse(bytes), Buffer.from(bytes), {})).toThrow(RangeError);
  expect(answer(lastId())).toBe('delivered');
});
