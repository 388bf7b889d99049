// The load: closed loop, one request in flight on each connection, sessions drawn at random, every answer verified to the byte.
// Subjects take short turns, so that what disturbs the machine disturbs all of them. A process of its own, so that
// it can be pinned; runs one job per message of its parent.
import { Redis } from 'ioredis';
import { AGAIN } from './budgets.mjs';
import { CALLS, message, tagIn, VERSION, verify } from './calls.mjs';
import { HttpConnection } from './http-connection.mjs';
import { OpenLoop, quantile } from './open-loop.mjs';
import { cpuMicros, holderOf } from './proc.mjs';

const BASE_HEADERS = `content-type: application/json\r\naccept: application/json, text/event-stream\r\n`;
const VERSION_HEADER = `mcp-protocol-version: ${VERSION}\r\n`;
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const LOST_AFTER_MS = 30_000;
const REST_LOOK_MS = 100;
/** Of a core: a worker that has nothing to do takes less. */
const REST_SHARE = 0.1;
const rest = (ms) => new Promise((wake) => setTimeout(wake, ms));

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {{host: string, port: number}} openAt where sessions are opened
 * @property {{host: string, port: number}} callAt where they are called
 * @property {string} path
 * @property {string} headers further request headers, each with its line end
 * @property {number[]} workers pids of the workers at openAt and callAt: needed for `elsewhere`
 * @property {boolean} elsewhere call a session only over connections that another worker holds than the one it was opened at
 * @property {boolean} [isOneWay] `elsewhere` with two workers: one holds all connections, the other one all sessions
 * @property {boolean} [isOnlyListed] its tools have other names: nothing is called, no tag is learned
 * @property {number[]} gateway pids whose CPU time counts
 * @property {string} [redisUrl] whose commands count
 */

export class Load {
  #states = new Map();
  #nextId = 10;
  #lostAfterMs;
  #watch = setInterval(() => this.#expire(), 500);

  /** @param lostAfterMs an answer that has not come by then never will */
  constructor({ lostAfterMs = LOST_AFTER_MS } = {}) {
    this.#lostAfterMs = lostAfterMs;
  }

  /** Sessions of a subject; may be called again for more. @param {Subject} subject */
  async open({ subject, sessions, streams = false }) {
    const fresh = { subject, connections: [], passing: new Set(), sessions: [], streams: [], seen: new Set() };
    const state = this.#states.get(subject.name) ?? fresh;
    this.#states.set(subject.name, state);
    // At the end its Redis may go before the load does.
    if (subject.redisUrl) state.redis ??= new Redis(subject.redisUrl).on('error', () => undefined);
    let missing = sessions - state.sessions.length;
    const openSome = async () => {
      const { http, holder } = await openConnection(subject.openAt, subject);
      while (missing-- > 0) state.sessions.push(await this.#openSession(state, http, holder));
      http.close();
    };
    // Where it matters who holds the connection, each session gets one of its own.
    if (subject.elsewhere) while (missing > 0) missing -= await this.#openOne(state);
    else await Promise.all(Array.from({ length: 4 }, openSome));
    if (streams) for (const session of state.sessions) state.streams.push(await openStream(subject, session));
  }

  /** Just before their first use: one on which nothing is asked for long is closed by the gateway. */
  async #connect({ subject, connections, sessions }, count) {
    while (connections.length < count) {
      const connection = await openConnection(subject.callAt, subject);
      if (subject.isOneWay && connection.holder !== subject.workers[0]) {
        connection.http.close();
        continue;
      }
      const share = sessions.filter(({ holder }) => !subject.elsewhere || holder !== connection.holder);
      if (share.length === 0) throw new Error(`${subject.name}: a connection has no session that is owned elsewhere`);
      connections.push({ ...connection, share });
    }
  }

  /** Ends sessions and connections of a subject. */
  async close({ name }) {
    const state = this.#states.get(name);
    this.#states.delete(name);
    for (const socket of state.streams) socket.destroy();
    await this.#end(state, state.sessions);
    for (const { http } of state.connections) http.close();
    state.redis?.disconnect();
  }

  /** @param isFresh a connection for each request @returns figures by name, over `turns` turns of so many requests each */
  async measure({ names, kind, connections, turns, requests, isFresh = false }) {
    const sums = new Map(names.map((name) => [name, newSums()]));
    for (let turn = 0; turn < turns; turn += 1) {
      for (const name of names) {
        await this.#turn(this.#states.get(name.replace(AGAIN, '')), sums.get(name), { kind, connections, requests, isFresh });
      }
    }
    return Object.fromEntries(names.map((name) => [name, figuresOf(sums.get(name))]));
  }

  /**
   * The open loop (see open-loop.mjs). Tells its parent when a step begins. @returns figures by step
   * @param {{ name: string, connections: number, steps: import('./open-loop.mjs').Step[] }} what
   */
  async arrive({ name, connections, steps }) {
    const state = this.#states.get(name);
    await this.#connect(state, connections);
    const { sessions, subject } = state;
    const free = state.connections.slice(0, connections).map(({ http }) => http);
    const loop = new OpenLoop({ connections: free, sessions, path: subject.path, steps, firstId: this.#nextId });
    const figures = await loop.run((step) => process.send?.({ step }));
    this.#nextId = loop.nextId;
    return figures;
  }

  stop() {
    clearInterval(this.#watch);
  }

  /**
   * A number of requests, not a time: on a crowded machine much of a short time goes to requests that begin in it and end behind it, and
   * what they cost would be charged to the few that end in it.
   */
  async #turn(state, sums, { kind, connections, requests, isFresh }) {
    const { subject, redis } = state;
    if (!isFresh) await this.#connect(state, connections);
    const turn = { left: requests, opened: [] };
    const used = isFresh ? Array(connections).fill({ share: state.sessions }) : state.connections.slice(0, connections);
    const [commandsBefore, verifiedBefore] = [await countCommands(redis), sums.verified];
    const cpuBefore = cpuMicros(subject.gateway);
    const startedAt = performance.now();
    await Promise.all(used.map(({ http, share }) => this.#loop(state, http, share, kind, turn, sums)));
    sums.elapsedMs += performance.now() - startedAt;
    const micros = cpuMicros(subject.gateway) - cpuBefore;
    sums.cpuMicros += micros;
    sums.turns.push(micros / (sums.verified - verifiedBefore));
    sums.redis += (await countCommands(redis)) - commandsBefore;
    await this.#end(state, turn.opened);
    if (turn.opened.length > 0) await untilAtRest(subject);
    for (const { http } of used) if (http?.failure) note(sums, { kind: 'errors', text: String(http.failure) });
  }

  async #loop(state, http, share, kind, turn, sums) {
    while (turn.left > 0) {
      turn.left -= 1;
      const startedAt = performance.now();
      let verdict;
      try {
        if (!http) verdict = await this.#callOnce(state, share, kind);
        else verdict = kind === 'open' ? await this.#tryOpen(state, http, turn) : await this.#call(state, http, share, kind);
      } catch (error) {
        // A connection that has failed cannot go on; one error voids the run anyway.
        note(sums, { kind: 'errors', text: String(error) });
        return;
      }
      if (verdict === 'good') {
        sums.verified += 1;
        sums.latencies.push(performance.now() - startedAt);
      } else note(sums, verdict);
    }
  }

  async #call({ subject }, http, share, kind) {
    const session = share[Math.floor(Math.random() * share.length)];
    const id = this.#nextId++;
    const nonce = `n${id}`;
    const answer = await http.send('POST', subject.path, session.headers, CALLS[kind].body(id, nonce));
    return verify(answer, { kind, id, nonce, tag: session.tag });
  }

  /** A call over a connection of its own. What becomes of that one concerns no other call. */
  async #callOnce(state, share, kind) {
    const { host, port } = state.subject.callAt;
    const http = new HttpConnection(host, port);
    state.passing.add(http);
    try {
      await http.opened();
      return await this.#call(state, http, share, kind);
    } catch (error) {
      return { kind: 'errors', text: String(error), isLost: true };
    } finally {
      state.passing.delete(http);
      http.close();
    }
  }

  async #tryOpen(state, http, turn) {
    const session = await this.#openSession(state, http, undefined, false);
    turn.opened.push(session);
    return 'good';
  }

  /** @returns how many: none where the wrong worker took the connection */
  async #openOne(state) {
    const { subject, sessions } = state;
    const { http, holder } = await openConnection(subject.openAt, subject);
    const isWrong = subject.isOneWay && holder === subject.workers[0];
    if (!isWrong) sessions.push(await this.#openSession(state, http, holder));
    http.close();
    return isWrong ? 0 : 1;
  }

  /** Opens a session; @param isCalled once, to learn its tag */
  async #openSession({ subject, seen }, http, holder, isCalled = true) {
    const { path } = subject;
    const first = `${BASE_HEADERS}${subject.headers}`;
    const params = { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: 'bench', version: '1.0.0' } };
    const opened = await http.send('POST', path, first, message(1, 'initialize', params));
    const { status, sessionId } = opened;
    if (status !== 200 || !sessionId || seen.has(sessionId)) throw new Error(`initialize: ${status} ${opened.body}`);
    seen.add(sessionId);
    const session = { headers: `${first}${VERSION_HEADER}mcp-session-id: ${sessionId}\r\n`, holder, tag: undefined };
    const accepted = await http.send('POST', path, session.headers, INITIALIZED);
    if (accepted.status !== 202) throw new Error(`notifications/initialized: ${accepted.status}`);
    if (!isCalled || subject.isOnlyListed) return session;
    const answer = await http.send('POST', path, session.headers, CALLS.call.body(2, 'first'));
    session.tag = tagIn(answer);
    const verdict = session.tag
      ? verify(answer, { kind: 'call', id: 2, nonce: 'first', tag: session.tag })
      : { text: answer.body };
    if (verdict !== 'good') throw new Error(`first call: ${verdict.text}`);
    return session;
  }

  async #end(state, sessions) {
    const { subject, connections } = state;
    await this.#connect(state, sessions.length === 0 ? 0 : 4);
    const waiting = [...sessions];
    const endSome = async ({ http }) => {
      for (let session = waiting.pop(); session; session = waiting.pop())
        await http.send('DELETE', subject.path, session.headers);
    };
    await Promise.all(connections.map(endSome)).catch(() => undefined);
  }

  #expire() {
    for (const { connections, passing } of this.#states.values()) {
      for (const http of [...connections.map((one) => one.http), ...passing]) http.expire(this.#lostAfterMs);
    }
  }
}

/**
 * What ended sessions leave to be done in the background must not be done in the turn of somebody else, on the same core, nor in the next
 * one of the subject.
 */
async function untilAtRest({ name, gateway }) {
  const deadline = performance.now() + LOST_AFTER_MS;
  for (;;) {
    const before = cpuMicros(gateway);
    await rest(REST_LOOK_MS);
    if (cpuMicros(gateway) - before < REST_LOOK_MS * 1000 * REST_SHARE) return;
    if (performance.now() > deadline) throw new Error(`${name} is not at rest ${LOST_AFTER_MS} ms after its sessions were ended`);
  }
}

async function openConnection({ host, port }, { elsewhere, workers }) {
  const http = new HttpConnection(host, port);
  await http.opened();
  let holder;
  // The primary hands the connection over: for a moment both or none hold it.
  for (let tries = 0; elsewhere && holder === undefined && tries < 500; tries += 1) {
    await rest(2);
    holder = holderOf(http.socket, workers);
  }
  if (elsewhere && holder === undefined) throw new Error('no worker holds the connection');
  return { http, holder };
}

/** A GET stream that is open and silent. */
async function openStream({ callAt, path }, { headers }) {
  const { socket } = new HttpConnection(callAt.host, callAt.port);
  socket.removeAllListeners('data');
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${callAt.host}:${callAt.port}\r\n${headers.replace('application/json, ', '')}\r\n`);
  const [head] = await new Promise((resolve, reject) => socket.once('data', (...all) => resolve(all)).once('close', reject));
  if (!head.latin1Slice(9, 12).startsWith('200')) throw new Error(`GET: ${head.latin1Slice(0, 200)}`);
  socket.on('data', () => undefined);
  return socket;
}

/** Commands that a Redis has served so far, without these questions themselves. */
export async function countCommands(redis) {
  if (!redis) return Number.NaN;
  const stats = await redis.info('commandstats');
  return [...stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)]
    .filter(([, name]) => name !== 'info')
    .reduce((sum, [, , calls]) => sum + Number(calls), 0);
}

const newSums = () => ({
  verified: 0,
  errors: 0,
  crossed: 0,
  lost: 0,
  elapsedMs: 0,
  cpuMicros: 0,
  redis: 0,
  latencies: [],
  turns: [],
});

function note(sums, { kind, text, isLost = false }) {
  sums[kind] += 1;
  if (isLost) sums.lost += 1;
  sums.firstError ??= text;
}

function figuresOf({ verified, errors, crossed, lost, firstError, elapsedMs, cpuMicros, redis, latencies, turns }) {
  turns.sort((a, b) => a - b);
  const sorted = Float64Array.from(latencies).sort();
  return {
    ...{ verified, errors, crossed, lost, firstError },
    perSecond: (verified / elapsedMs) * 1000,
    cpu: cpuMicros / verified,
    // What disturbs only adds: the quiet turns of two builds differ by the builds alone.
    cpuQuiet: turns[turns.length >> 2],
    busy: cpuMicros / 1000 / elapsedMs,
    redis: redis / verified,
    ...{ p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), p99: quantile(sorted, 0.99) },
  };
}
