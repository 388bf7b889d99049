// The work of npm run demo:chaos: one pod (three workers, embedded Redis), one backend with a counter, one SDK client. The owner of
// its session is killed again and again.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { obtainRedis } from '../obtain-redis.mjs';
import { ensureBuilt, ensureInstalled } from '../start-prepare.mjs';

const CALL_EVERY_MS = 300;
const KILL_EVERY_CALLS = 16;
const RUN_MS = 28_000;
const HOST = '127.0.0.1';
const say = (text) => process.stdout.write(`${text}\n`);
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

export async function demo() {
  const dir = mkdtempSync(join(tmpdir(), 'berth-demo-'));
  const ends = [];
  let isEnding = false;
  const interrupted = new Promise((resolve) => {
    const end = () => {
      isEnding = true;
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, end);
  });
  try {
    ensureInstalled();
    ensureBuilt();
    obtainRedis();
    const world = await startWorld(dir, ends);
    await play(world, () => isEnding, interrupted);
  } catch (error) {
    process.stderr.write(`demo: ${error.message}\n`);
    process.exitCode = error.exitCode ?? 1;
  } finally {
    say('\nEnding …');
    for (const end of ends.reverse()) await end();
    rmSync(dir, { recursive: true, force: true });
  }
  // What is left are handlers and idle sockets of the client.
  process.exit();
}

async function startWorld(dir, ends) {
  const [{ Processes, coreOf }, { startPod }, { Client }, { StreamableHTTPClientTransport }, { Redis }] = await Promise.all([
    import('../bench/processes.mjs'),
    import('../bench/pod.mjs'),
    import('@modelcontextprotocol/sdk/client/index.js'),
    import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
    import('ioredis'),
  ]);
  const processes = new Processes();
  ends.push(() => processes.stop());
  say('Starting three workers, a Redis and a backend …');
  const core = coreOf(undefined);
  const backend = await processes.start(join(import.meta.dirname, 'backend.mjs'), [], core);
  const mcpServers = { counter: { type: 'http', url: `http://${HOST}:${backend.port}/mcp` } };
  const config = { workers: 3, mcpServers, drain: { timeout: '5s' } };
  const pod = await startPod({ processes, core, dir, host: HOST, config, logFile: join(dir, 'log'), follows: true });
  await pod.ready();
  const redis = new Redis(join(dir, 'data', 'redis.sock'));
  redis.on('error', () => undefined);
  ends.push(() => redis.disconnect());
  const client = new Client({ name: 'demo', version: '1.0.0' }, { capabilities: {} });
  // A new connection for each request, as behind a balancer that knows no stickiness: any worker may get it.
  const requestInit = { headers: { connection: 'close' } };
  const url = new URL(`http://${HOST}:${pod.port}/servers/counter/mcp`);
  const transport = new StreamableHTTPClientTransport(url, { requestInit });
  await client.connect(transport);
  ends.push(() => transport.terminateSession().catch(() => undefined));
  return { client, redis, sessionId: transport.sessionId };
}

async function play({ client, redis, sessionId }, isEnding, interrupted) {
  say(
    `\nOne session: ${sessionId}\nEach line is a call of its counter. The worker that owns it is killed (kill -9) every few seconds.\n`,
  );
  const seen = { calls: 0, kills: 0, unknown: 0, count: 0, slowest: 0 };
  const endMs = performance.now() + RUN_MS;
  let killedMs;
  for (let i = 1; performance.now() < endMs && !isEnding(); i += 1) {
    const begunMs = performance.now();
    const { count, failure } = await callCounter(client, i);
    const tookMs = performance.now() - begunMs;
    if (failure) {
      seen.unknown += 1;
      say(`  ${failure}`);
      continue;
    }
    const owner = await ownerOf(redis, sessionId);
    const where = `worker ${owner.index}   epoch ${owner.epoch}   counter ${String(count).padStart(3)}`;
    if (killedMs === undefined) say(`  ${where}   ${tookMs.toFixed(0)} ms`);
    else {
      const gapMs = performance.now() - killedMs;
      seen.slowest = Math.max(seen.slowest, gapMs);
      say(`  ${where}   session goes on, ${gapMs.toFixed(0)} ms after the kill`);
    }
    killedMs = undefined;
    Object.assign(seen, { calls: seen.calls + 1, count });
    await Promise.race([sleep(CALL_EVERY_MS), interrupted]);
    if (i % KILL_EVERY_CALLS === 0 && !isEnding() && performance.now() < endMs) {
      const victim = await ownerOf(redis, sessionId);
      say(`\n  owner killed: kill -9 worker ${victim.index} (pid ${victim.pid})`);
      process.kill(victim.pid, 'SIGKILL');
      killedMs = performance.now();
      seen.kills += 1;
    }
  }
  say(
    `\n${seen.kills} owners killed, ${seen.calls} calls answered, ${seen.unknown} unknown; the counter stands at ${seen.count}.`,
  );
  say(`One session id from the first call to the last; longest gap ${seen.slowest.toFixed(0)} ms. More: docs/reliability.md`);
}

/** @returns `{ count }`, or `{ failure }` where a worker was lost in the middle of the call */
async function callCounter(client, i) {
  try {
    const { content } = await client.callTool({ name: 'counter', arguments: { nonce: `demo-${i}` } });
    return { count: Number(content[0].text.split(' ')[2]) };
  } catch (error) {
    if (error.code === -32012) return { failure: 'a call was on its way: "outcome unknown", and not repeated behind our back' };
    return { failure: `a call came in through the worker that was killed: ${error.cause?.code ?? error.message}` };
  }
}

/** As the directory says: `{ index, pid, epoch }`. */
async function ownerOf(redis, sessionId) {
  const ref = createHash('sha256').update(sessionId).digest('base64url').slice(0, 22);
  for (let tries = 0; tries < 100; tries += 1) {
    const [owner, epoch] = await redis.hmget(`berth:{${ref}}:session`, 'owner', 'epoch');
    const lease = owner && (await redis.get(`berth:worker:${owner}`));
    if (lease) return { ...JSON.parse(lease), epoch: Number(epoch) };
    // It died a moment ago.
    await sleep(20);
  }
  throw new Error('the session has no living owner');
}
