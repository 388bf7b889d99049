// The load: closed loop, one request in flight on each connection, sessions drawn at random, every answer verified (status, id,
// nonce, tag of the session). A process of its own, so that it can be pinned; runs one job per message of its parent.
import { HttpConnection } from './http-connection.mjs';
import { cpuMs, holderOf } from './proc.mjs';

const VERSION = '2025-11-25';
const BASE_HEADERS = `content-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: ${VERSION}\r\n`;

/**
 * @typedef {object} Job
 * @property {{host: string, port: number}} openAt where sessions are opened
 * @property {{host: string, port: number}} callAt where they are called
 * @property {string} path
 * @property {number[]} workers pids of the workers at openAt and callAt: needed for `elsewhere`
 * @property {boolean} elsewhere call a session only over connections that another worker holds than the one it was opened at
 * @property {number[]} gateway pids whose CPU time counts
 * @property {number} connections
 * @property {number} sessions
 * @property {number} warmupMs
 * @property {number} measureMs
 */

process.on('message', (job) => {
  runJob(job).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: String(error?.stack ?? error) }),
  );
});
process.on('disconnect', () => process.exit(0));

/** @param {Job} job */
async function runJob(job) {
  const connections = await Promise.all(Array.from({ length: job.connections }, () => openConnection(job.callAt, job)));
  const sessions = [];
  try {
    for (let i = 0; i < job.sessions; i += 1) sessions.push(await openSession(job));
    const shares = connections.map(({ holder }) => sessions.filter((session) => !job.elsewhere || session.holder !== holder));
    if (shares.some((share) => share.length === 0)) throw new Error('a connection has no session that is owned elsewhere');
    return await measure(job, connections, shares);
  } finally {
    for (const session of sessions) await endSession(job, connections[0].http, session).catch(() => undefined);
    for (const { http } of connections) http.close();
  }
}

async function openConnection({ host, port }, job) {
  const http = new HttpConnection(host, port);
  await http.opened();
  let holder;
  // The primary hands the connection over: for a moment both or none hold it.
  for (let tries = 0; job.elsewhere && holder === undefined && tries < 500; tries += 1) {
    await new Promise((wake) => setTimeout(wake, 2));
    holder = holderOf(http.socket, job.workers);
  }
  if (job.elsewhere && holder === undefined) throw new Error('no worker holds the connection');
  return { http, holder };
}

/** Opens a session over a connection of its own, calls it once to learn its tag. */
async function openSession(job) {
  const { http, holder } = await openConnection(job.openAt, job);
  const params = { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: 'bench', version: '1.0.0' } };
  const opened = await http.send('POST', job.path, BASE_HEADERS, message(1, 'initialize', params));
  if (opened.status !== 200 || !opened.sessionId) throw new Error(`initialize: ${opened.status} ${opened.body}`);
  const session = { headers: `${BASE_HEADERS}mcp-session-id: ${opened.sessionId}\r\n`, holder, tag: undefined };
  const ready = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
  const accepted = await http.send('POST', job.path, session.headers, ready);
  if (accepted.status !== 202) throw new Error(`notifications/initialized: ${accepted.status}`);
  const first = await http.send('POST', job.path, session.headers, call(2, 'first'));
  session.tag = textOf(first)?.split(' ')[0];
  if (!session.tag) throw new Error(`first call: ${first.status} ${first.body}`);
  http.close();
  return session;
}

async function endSession(job, http, session) {
  await http.send('DELETE', job.path, session.headers);
}

async function measure(job, connections, shares) {
  const outcome = { verified: 0, errors: 0, crossed: 0, latencies: [], firstError: undefined };
  let counting = false;
  let running = true;
  let nextId = 10;
  const loop = async ({ http }, share) => {
    while (running) {
      const session = share[Math.floor(Math.random() * share.length)];
      const id = nextId++;
      const nonce = `n${id}`;
      const startedAt = performance.now();
      let verdict;
      try {
        verdict = verify(await http.send('POST', job.path, session.headers, call(id, nonce)), id, nonce, session.tag);
      } catch (error) {
        // A closed connection cannot go on; one error voids the run anyway.
        outcome.errors += 1;
        outcome.firstError ??= String(error);
        return;
      }
      if (verdict !== 'good') {
        outcome[verdict.kind] += 1;
        outcome.firstError ??= verdict.text;
      } else if (counting) {
        outcome.verified += 1;
        outcome.latencies.push(performance.now() - startedAt);
      }
    }
  };
  const loops = connections.map((connection, i) => loop(connection, shares[i]));
  await new Promise((wake) => setTimeout(wake, job.warmupMs));
  process.send({ phase: 'measuring' });
  const cpuBefore = cpuMs(job.gateway);
  const startedAt = performance.now();
  counting = true;
  await new Promise((wake) => setTimeout(wake, job.measureMs));
  counting = false;
  const elapsedMs = performance.now() - startedAt;
  const cpu = cpuMs(job.gateway) - cpuBefore;
  process.send({ phase: 'measured' });
  running = false;
  await Promise.all(loops);

  const sorted = Float64Array.from(outcome.latencies).sort();
  const quantile = (q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
  return {
    verified: outcome.verified,
    errors: outcome.errors,
    crossed: outcome.crossed,
    firstError: outcome.firstError,
    perSecond: (outcome.verified / elapsedMs) * 1000,
    cpuMicros: job.gateway.length > 0 ? (cpu * 1000) / outcome.verified : undefined,
    busy: job.gateway.length > 0 ? cpu / elapsedMs : undefined,
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
  };
}

function verify(answer, id, nonce, tag) {
  const text = answer.status === 200 ? textOf(answer, id) : undefined;
  if (text === undefined) return { kind: 'errors', text: `${answer.status} ${answer.body.slice(0, 300)}` };
  const [gotTag, gotNonce] = text.split(' ', 2);
  return gotTag === tag && gotNonce === nonce
    ? 'good'
    : { kind: 'crossed', text: `expected ${tag} ${nonce}, got ${gotTag} ${gotNonce}` };
}

/** The text of a result, if the answer has the right id. JSON, or the last event of a stream. */
function textOf({ body }, id) {
  try {
    const json = body.startsWith('{') ? body : body.slice(body.lastIndexOf('data:') + 5);
    const parsed = JSON.parse(json);
    return id === undefined || parsed.id === id ? parsed.result.content[0].text : undefined;
  } catch {
    return undefined;
  }
}

const message = (id, method, params) => JSON.stringify({ jsonrpc: '2.0', id, method, params });
const call = (id, nonce) => message(id, 'tools/call', { name: 'bench', arguments: { nonce } });
