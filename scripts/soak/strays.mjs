// Clients that do not just open, call and end: those that rest until their session is given up, leave without a word, break off in the
// middle, and come back to their stream. What they get is checked as well.
import { between, makeRandom, pickWeighted } from '../chaos/random.mjs';
import { ClientSession } from '../chaos/session.mjs';
import { EventReader } from '../chaos/sse.mjs';

const HABITS = { leaves: 40, vanishes: 25, rests: 20, resumes: 15 };
const VERSION = '2025-11-25';
const END_WITHIN_MS = 30_000;
const RESUMPTIONS = 3;
const EVENTS_BEFORE_LEAVING = 3;
const STREAM_WITHIN_MS = 30_000;
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

export class Strays {
  /** Sessions by habit. */
  counts = { leaves: 0, vanishes: 0, rests: 0, resumes: 0 };
  resumptions = 0;
  #parts;
  #random;
  #restMs;
  #running = true;

  /** @param parts as for ClientSession; @param restMs longer than `sessions.releaseAfter` */
  constructor(parts, { seed, restMs }) {
    this.#parts = parts;
    this.#random = makeRandom(seed);
    this.#restMs = restMs;
  }

  async run(server, count) {
    await Promise.all(Array.from({ length: count }, () => this.#client(server)));
  }

  stop() {
    this.#running = false;
  }

  async #client(server) {
    while (this.#running) {
      const session = new ClientSession(server, this.#parts);
      const habit = pickWeighted(this.#random, HABITS);
      if ((await session.open()) && (await session.echo('first'))) {
        this.counts[habit] += 1;
        await this[habit](session);
      }
      await sleep(between(this.#random, 100, 400));
    }
  }

  /** Its idle time ends it. */
  async leaves(session) {
    await session.progress(3, 20);
    await session.list();
  }

  /** In the middle of a call and of a stream. */
  async vanishes(session) {
    const leaving = new AbortController();
    const { signal } = leaving;
    const params = {
      name: 'progress',
      arguments: { nonce: this.#parts.ledger.nextNonce(), steps: 10, ms: 200 },
      _meta: { progressToken: 'v' },
    };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'v', method: 'tools/call', params });
    const asked = [this.#send(session, { method: 'POST', body, signal }), this.#send(session, { method: 'GET', signal })];
    await sleep(between(this.#random, 50, 600));
    leaving.abort();
    await Promise.allSettled(asked);
  }

  /** Until it is given up; whoever gets the next request claims it. */
  async rests(session) {
    await session.counter();
    await sleep(this.#restMs);
    await session.counter();
    await session.end(END_WITHIN_MS);
  }

  /** What came while it was away must come first, in order. */
  async resumes(session) {
    const seen = { id: undefined, seq: undefined, isGap: false };
    for (let times = 0; times <= RESUMPTIONS && this.#running; times += 1) {
      await this.#readSome(session, seen);
      if (times > 0) this.resumptions += 1;
      await sleep(between(this.#random, 50, 1200));
    }
    await session.end(END_WITHIN_MS);
  }

  async #readSome(session, seen) {
    const leaving = new AbortController();
    let events = 0;
    const late = setTimeout(() => {
      this.#parts.ledger.reportWrong('no events', `${events} within ${STREAM_WITHIN_MS / 1000} s`, session.server);
      leaving.abort();
    }, STREAM_WITHIN_MS);
    const reader = new EventReader(({ data, id }) => {
      if (id !== undefined) seen.id = id;
      const { params } = data ? JSON.parse(data) : {};
      if (params?.data?.gap) seen.isGap = true;
      if (params?.data?.seq === undefined) return;
      this.#check(session, seen, params.data.seq);
      events += 1;
      if (events === EVENTS_BEFORE_LEAVING) leaving.abort();
    });
    const resumed = seen.id === undefined ? {} : { 'last-event-id': seen.id };
    const onData = (text) => reader.take(text);
    await this.#send(session, { method: 'GET', signal: leaving.signal, headers: resumed, onData }).catch(() => undefined);
    clearTimeout(late);
  }

  #check(session, seen, seq) {
    const isNext = seen.seq === undefined || seq === seen.seq + 1 || (seen.isGap && seq > seen.seq);
    if (!isNext) this.#parts.ledger.reportWrong('events of a resumed stream', `${seq} after ${seen.seq}`, session.server);
    seen.isGap = false;
    seen.seq = seq;
  }

  #send({ id, server }, { method, body, signal, headers, onData }) {
    const { send, path } = this.#parts;
    return send({
      method,
      path: path(server),
      body,
      signal,
      onData,
      headers: {
        accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        'mcp-session-id': id,
        'mcp-protocol-version': VERSION,
        ...headers,
      },
    });
  }
}
