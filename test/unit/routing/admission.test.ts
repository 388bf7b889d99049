// Who is begun and who is refused, by what is under way; and what is never refused.
import { Admission } from '../../../src/routing/admission.js';
import type { GatewayError } from '../../../src/errors/gateway-error.js';
import type { SessionRef } from '../../../src/protocol/ids.js';
import type { Exchange, RequestBody } from '../../../src/streams/exchange.js';
import { RecordingAnswer } from '../streams/recording-answer.js';
import { Fixture, initialize, notification, settle, tokenOf } from './execution-fixture.js';

const hop = { kind: 'named', token: tokenOf('self', 1) } as const;
const batch = (ids: string[]): RequestBody => ({ kind: 'batch', parts: [], ids, bytes: Buffer.from('[]') });
const answered: RequestBody = { kind: 'response', message: { jsonrpc: '2.0', id: 1, result: {} }, bytes: Buffer.from('{}') };
const by = (digest: string) => ({ principal: { name: digest, digest } });

class Door {
  readonly fixture = new Fixture();
  readonly refused: string[] = [];
  readonly begun: Array<{ exchange: Exchange; end: () => void; fail: (error: Error) => void }> = [];
  full = false;
  requests = 3;
  perPrincipal: number | undefined;
  readonly asked: boolean[] = [];
  readonly admission = new Admission({
    watch: {
      mustRefuse: (opens) => {
        this.asked.push(opens);
        return this.full;
      },
    },
    maxRequests: () => this.requests,
    maxPerPrincipal: () => this.perPrincipal,
    execute: (exchange) => new Promise((end, fail) => this.begun.push({ exchange, end, fail })),
    onRefused: (error: GatewayError) => this.refused.push(`${error.status} ${String(error.details?.reason)}`),
  });

  /** @returns its answer, written to if it was refused */
  enter(changes: Partial<Exchange> = {}): RecordingAnswer {
    const answer = new RecordingAnswer();
    this.admission.execute(this.fixture.exchange({ ...changes, answer })).catch(() => undefined);
    return answer;
  }
}

const refusal = (reason: string, status = 503) => ({
  status,
  text: expect.stringContaining(`"data":{"reason":"${reason}"}`),
  headers: expect.objectContaining({ 'retry-after': '1', 'content-type': 'application/json' }),
});

test('beyond the requests under way 503, until one has ended', async () => {
  const door = new Door();
  for (let n = 0; n < 3; n++) expect(door.enter().finished).toBe(false);
  const answer = door.enter();
  expect(answer).toMatchObject(refusal('requests'));
  expect(JSON.parse(answer.text)).toMatchObject({ id: 'call', error: { code: -32000 } });
  expect([door.begun.length, door.admission.open, door.refused]).toEqual([3, 3, ['503 requests']]);
  door.begun[0]?.end();
  await settle();
  expect([door.enter().finished, door.admission.open]).toEqual([false, 3]);
});

test('nobody is refused who waits for no answer, ends a session or opens a stream', () => {
  const door = new Door();
  door.full = true;
  for (const body of [notification, answered, batch([])]) door.enter({ body });
  door.enter({ method: 'DELETE', body: undefined });
  door.enter({ method: 'GET', body: undefined });
  expect([door.begun.length, door.refused]).toEqual([5, []]);
  // A stream may last for hours.
  expect(door.admission.open).toBe(4);
});

test('with twice as many under way nothing is begun any more but streams, and what workers tell each other', async () => {
  const door = new Door();
  for (let n = 0; n < 6; n++) expect(door.enter({ body: notification }).finished).toBe(false);
  for (const body of [notification, answered, batch([])]) expect(door.enter({ body })).toMatchObject(refusal('requests'));
  expect(door.enter({ method: 'DELETE', body: undefined })).toMatchObject(refusal('requests'));
  expect([door.begun.length, door.admission.open, door.refused.length]).toEqual([6, 6, 4]);
  const ending = { kind: 'end', ref: door.fixture.id as unknown as SessionRef, cause: 'deleted' } as const;
  expect(door.enter({ method: 'DELETE', body: undefined, hop: ending }).finished).toBe(false);
  expect(door.enter({ method: 'GET', body: undefined }).finished).toBe(false);
  for (const { end } of door.begun.slice(0, 2)) end();
  await settle();
  expect(door.enter({ body: notification }).finished).toBe(false);
});

test('a batch counts as the requests in it, for its caller as well', async () => {
  const door = new Door();
  door.requests = 10;
  door.perPrincipal = 4;
  for (const ids of [['1'], ['2', '3', '4']]) expect(door.enter({ ...by('alice'), body: batch(ids) }).finished).toBe(false);
  expect(door.admission.open).toBe(4);
  expect(door.enter(by('alice'))).toMatchObject(refusal('principal', 429));
  door.begun[1]?.end();
  await settle();
  expect(door.admission.open).toBe(1);
  expect(door.enter(by('alice')).finished).toBe(false);
  door.begun[0]?.fail(new Error('broken'));
  door.begun[2]?.end();
  await settle();
  expect(door.admission.open).toBe(0);
});

test('a full worker refuses requests and batches of them, also those that others forward; it knows which open a session', () => {
  const door = new Door();
  door.full = true;
  expect(door.enter()).toMatchObject(refusal('queue'));
  expect(door.enter({ hop })).toMatchObject(refusal('queue'));
  expect(door.enter({ body: initialize })).toMatchObject(refusal('queue'));
  expect(JSON.parse(door.enter({ body: batch(['a', 'b']) }).text)).toMatchObject({ id: null, error: { code: -32000 } });
  expect(door.asked).toEqual([false, false, true, false]);
  expect([door.begun.length, door.admission.open]).toEqual([0, 0]);
});

test('one caller has his share, others theirs, and so of what others forward', async () => {
  const door = new Door();
  door.requests = 20;
  door.perPrincipal = 2;
  for (let n = 0; n < 2; n++) door.enter(by('alice'));
  expect(door.enter(by('alice'))).toMatchObject(refusal('principal', 429));
  expect(door.enter(by('bob')).finished).toBe(false);
  // With many workers most of what one edge takes comes back to it from others: one share for both would be half a share.
  for (let n = 0; n < 2; n++) expect(door.enter({ ...by('alice'), hop }).finished).toBe(false);
  expect(door.enter({ ...by('alice'), hop })).toMatchObject(refusal('principal', 429));
  expect(door.enter({ ...by('bob'), hop }).finished).toBe(false);
  for (const { end } of door.begun.splice(0)) end();
  await settle();
  expect(door.enter(by('alice')).finished).toBe(false);
  expect(door.enter({ ...by('alice'), hop }).finished).toBe(false);
  expect(door.refused).toEqual(['429 principal', '429 principal']);
});

test('where callers are not told apart, none has a share of his own', () => {
  const door = new Door();
  door.requests = 10;
  for (let n = 0; n < 10; n++) expect(door.enter(by('anonymous')).finished).toBe(false);
  expect(door.enter(by('anonymous'))).toMatchObject(refusal('requests'));
});
