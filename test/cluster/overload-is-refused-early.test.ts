// Under more load than a worker can serve: what is refused and what never is, that nothing refused has run, and that it is over when the
// load is. Pipelined requests make a worker busy with hardly any work for the process of the test.
import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setPriority } from 'node:os';
import { parseExposition } from '../support/exposition.js';
import { type Pod, startPod } from '../support/pod.js';
import { getStream, JSON_HEADERS, type RawAnswer, requestText, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/recorder/mcp';
/** Each connection has so many requests under way, or half of it while the rest is sent again: far more than a turn can serve. */
const DEPTH = 200;
const CONNECTIONS = 4;
/** As many calls as may be under way to one backend: 128 have a connection to it, the others wait for one. */
const CALLING = { depth: 100, connections: 11 };
const INITIALIZE = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };

let backend: RecordingBackend;
let pod: Pod;
beforeEach(async () => {
  backend = await startRecordingBackend({ json: true });
});
afterEach(async () => {
  await pod?.dispose();
  await backend?.close();
});
const start = async (config: Record<string, unknown>, nodeArgs: string[] = []) => {
  pod = await startPod({ nodeArgs, config: { mcpServers: { recorder: { type: 'http', url: backend.url } }, ...config } });
};
async function metrics() {
  const families = parseExposition(await (await fetch(pod.adminUrl('/metrics'))).text());
  const sum = (family: string, labels: Readonly<Record<string, string>> = {}) =>
    (families.get(family)?.samples ?? [])
      .filter((sample) => Object.entries(labels).every(([name, value]) => sample.labels[name] === value))
      .reduce((total, { value }) => total + value, 0);
  return { sum };
}
const errorOf = (answer: RawAnswer) => JSON.parse(answer.body) as { id: unknown; error: { code: number; data: object } };

function expectRefusal(answer: RawAnswer, status: number, reason: string, id: number | string): void {
  expect([answer.status, errorOf(answer)]).toMatchObject([status, { id, error: { code: -32000, data: { reason } } }]);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
}

const REFUSED_ID = /"id":"([^"]+)","error":\{"code":-32000,[^}]*"data":\{"reason":"queue"\}/g;

class Pressure {
  refused = 0;
  readonly refusedIds = new Set<string>();
  #isOn = true;

  /** @param some makes so many requests */
  constructor(sockets: readonly Socket[], depth: number, some: (count: number) => string) {
    for (const socket of sockets) {
      let open = depth;
      socket.on('data', (part: Buffer) => {
        // A status line that two parts share is missed: enough are left.
        const text = part.toString('latin1');
        this.refused += text.split('HTTP/1.1 503').length - 1;
        for (const [, id] of text.matchAll(REFUSED_ID)) this.refusedIds.add(id as string);
        open -= text.split('HTTP/1.1 ').length - 1;
        for (; this.#isOn && open <= depth / 2; open += depth / 2) socket.write(some(depth / 2));
      });
      socket.write(some(depth));
    }
  }

  stop(): void {
    this.#isOn = false;
  }
}

test('a worker that cannot keep up refuses requests, its own and those that others forward, and nothing else; then all is as before', async () => {
  await start({ workers: 2, limits: { queueDelay: '1ms' }, log: { level: 'warn', format: 'json' } });
  const [owner, other] = pod.workers() as [number, number];
  const socketTo = (worker: number) => pod.connectTo(worker);
  const opened = await sendRaw(pod.origin, rpc(PATH, undefined, 'initialize', INITIALIZE), await socketTo(owner));
  const sessionId = opened.headers['mcp-session-id'] as string;
  const ending = (await pod.sendTo(owner, rpc(PATH, undefined, 'initialize', INITIALIZE))).headers['mcp-session-id'] as string;
  expect((await pod.sendTo(other, toolCall(PATH, sessionId, 'echo', { nonce: 'before' }))).status).toBe(200);

  const sockets: Socket[] = [];
  for (let n = 0; n < CONNECTIONS; n++) sockets.push(await socketTo(owner));
  const ping = requestText(rpc(PATH, sessionId, 'ping'));
  const pressure = new Pressure(sockets, DEPTH, (count) => ping.repeat(count));
  await waitFor('the worker to refuse', () => pressure.refused > 0, 60_000);

  const nonces = { refused: new Set<string>(), served: new Set<string>() };
  const callVia = async (worker: number, nonce: string) => {
    const answer = await pod.sendTo(worker, toolCall(PATH, sessionId, 'echo', { nonce }, nonce));
    if (answer.status === 200) nonces.served.add(nonce);
    else {
      expectRefusal(answer, 503, 'queue', nonce);
      nonces.refused.add(nonce);
    }
    return answer.status;
  };
  for (const [name, worker] of Object.entries({ owner, other })) {
    let n = 0;
    await waitFor(`a call through ${name} to be refused`, async () => (await callVia(worker, `${name}-${n++}`)) === 503, 60_000);
  }
  let id = 0;
  await waitFor(
    'initialize to be refused',
    async () => {
      const answer = await pod.sendTo(owner, rpc(PATH, undefined, 'initialize', INITIALIZE, ++id));
      if (answer.status === 503) expectRefusal(answer, 503, 'queue', id);
      return answer.status === 503;
    },
    60_000,
  );
  for (let n = 0; n < 2; n++) {
    const note = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: `none-${n}` } };
    const headers = { ...JSON_HEADERS, 'mcp-session-id': sessionId };
    expect((await pod.sendTo(owner, { path: PATH, headers, body: JSON.stringify(note) })).status).toBe(202);
    expect((await pod.sendTo(owner, { method: 'GET', path: '/readyz' })).status).toBe(200);
  }
  const stream = await pod.beginAt(owner, getStream(PATH, sessionId));
  expect(stream.answer.statusCode).toBe(200);
  stream.call.destroy();
  const deletion = { method: 'DELETE', path: PATH, headers: { 'mcp-session-id': ending } };
  expect((await pod.sendTo(owner, deletion)).status).toBe(202);
  await waitFor('the metric to say so', async () => (await metrics()).sum('berth_overloaded') === 1, 60_000);

  pressure.stop();
  await waitFor('the worker to be overloaded no more', async () => (await metrics()).sum('berth_overloaded') === 0, 10_000);
  for (let n = 0; n < 5; n++) expect(await callVia(owner, `after-${n}`)).toBe(200);
  for (const socket of sockets) socket.destroy();

  const ran = backend.calls.map(({ nonce }) => nonce).filter((nonce) => nonce !== 'before');
  expect(ran.sort()).toEqual([...nonces.served].sort());
  expect(nonces.refused.size).toBeGreaterThan(0);
  const after = await metrics();
  expect(after.sum('berth_shed_total', { reason: 'queue' })).toBeGreaterThanOrEqual(pressure.refused);
  expect(after.sum('berth_refused_total', { reason: 'OVERLOADED' })).toBe(after.sum('berth_shed_total'));
  expect(after.sum('berth_open_requests')).toBe(0);
  // Told when it begins and when it is over, in turn; on a machine that starves the test this may be more than once.
  const told = pod.logs().flatMap(({ msg, reason }) => (reason === 'queue' ? [String(msg).split(/[: ]/)[0]] : []));
  expect(told.length).toBeGreaterThan(0);
  expect(told.map((word, index) => [index, word])).toEqual(
    told.map((_, index) => [index, index % 2 === 0 ? 'overloaded' : 'no']),
  );
});

// All that comes is read at once and waits for one of the connections to the backend: a turn of the loop takes a seventh of what calls
// wait. The worker, and not the process of the test, has to be what cannot keep up: its code is interpreted, and it gets less of a full core.
test('a worker that cannot keep up refuses also where its calls wait behind the event loop', async () => {
  await start({ workers: 1, limits: { queueDelay: '250ms' }, log: { level: 'warn', format: 'json' } }, [
    '--no-opt',
    '--no-sparkplug',
  ]);
  const [worker] = pod.workers() as [number];
  setPriority(worker, 5);
  const opened = await sendRaw(pod.origin, rpc(PATH, undefined, 'initialize', INITIALIZE));
  const sessionId = opened.headers['mcp-session-id'] as string;
  const call = (nonce: string) => sendRaw(pod.origin, toolCall(PATH, sessionId, 'echo', { nonce }, nonce));
  expect((await call('before')).status).toBe(200);

  const sockets: Socket[] = [];
  for (let n = 0; n < CALLING.connections; n++) sockets.push(await pod.connectTo(worker));
  let id = 0;
  const next = () => {
    const nonce = `call-${id++}`;
    return requestText(toolCall(PATH, sessionId, 'echo', { nonce }, nonce));
  };
  const pressure = new Pressure(sockets, CALLING.depth, (count) => Array.from({ length: count }, next).join(''));
  await waitFor('the worker to refuse', () => pressure.refusedIds.size > 0, 60_000);

  pressure.stop();
  await waitFor('the worker to be overloaded no more', async () => (await metrics()).sum('berth_overloaded') === 0, 10_000);
  expect((await call('after')).status).toBe(200);
  for (const socket of sockets) socket.destroy();
  expect(backend.calls.length).toBeGreaterThan(CALLING.depth);
  expect(backend.calls.filter(({ nonce }) => pressure.refusedIds.has(nonce as string))).toEqual([]);
  expect((await metrics()).sum('berth_shed_total', { reason: 'queue' })).toBe((await metrics()).sum('berth_shed_total'));
});

test('requests under way are bounded in all (503) and for each caller (429); what ends makes room at once', async () => {
  const keyOf = { alice: randomBytes(24).toString('hex'), bob: randomBytes(24).toString('hex') };
  const keys = Object.entries(keyOf).map(([id, key]) => ({ id, sha256: createHash('sha256').update(key).digest('hex') }));
  await start({ workers: 1, limits: { requests: 3, requestsPerPrincipal: 2 }, auth: { mode: 'keys', keys } });
  const as = (caller: keyof typeof keyOf, raw: ReturnType<typeof rpc>) =>
    sendRaw(pod.origin, { ...raw, headers: { ...raw.headers, 'x-api-key': keyOf[caller] } });
  const open = async (caller: keyof typeof keyOf) =>
    (await as(caller, rpc(PATH, undefined, 'initialize', INITIALIZE))).headers['mcp-session-id'] as string;
  const ids = { alice: await open('alice'), bob: await open('bob') };
  const call = (caller: keyof typeof keyOf, nonce: string) => as(caller, toolCall(PATH, ids[caller], 'echo', { nonce }, nonce));
  for (const caller of ['alice', 'bob'] as const) expect((await call(caller, `${caller}-first`)).status).toBe(200);

  const hung = backend.hang(({ rpcMethod }) => rpcMethod === 'tools/call');
  const mine = [call('alice', 'a1'), call('alice', 'a2')];
  await waitFor('both calls of alice to be under way', async () => (await metrics()).sum('berth_open_requests') === 2);
  expectRefusal(await call('alice', 'a3'), 429, 'principal', 'a3');
  const his = call('bob', 'b1');
  await waitFor('the call of bob to be under way', async () => (await metrics()).sum('berth_open_requests') === 3);
  expectRefusal(await call('bob', 'b2'), 503, 'requests', 'b2');
  const note = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'none' } };
  expect((await as('bob', { ...rpc(PATH, ids.bob, 'x'), body: JSON.stringify(note) })).status).toBe(202);
  hung.release();
  expect((await Promise.all([...mine, his])).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await call('alice', 'a4')).status).toBe(200);
  const ran = backend.calls.map(({ nonce }) => nonce);
  expect([ran.includes('a3'), ran.includes('b2')]).toEqual([false, false]);
  const { sum } = await metrics();
  expect([sum('berth_shed_total', { reason: 'principal' }), sum('berth_shed_total', { reason: 'requests' })]).toEqual([1, 1]);
});
