// The work of npm run pods: a Redis, a backend, three pods on 127.0.0.2 to .4 and nginx in front, with the files of deploy/compose,
// until Ctrl-C. What is changed in them are addresses and ports, which containers have and this machine has not.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { obtainProgram } from '../obtain-program.mjs';
import { obtainRedis } from '../obtain-redis.mjs';
import { ensureBuilt, ensureInstalled, root } from '../start-prepare.mjs';

const COMPOSE = join(root, 'deploy', 'compose');
const HOSTS = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
const NGINX_HELP = `There is no nginx here. Install it:

  Debian, Ubuntu   sudo apt-get update && sudo apt-get install -y nginx
  Fedora, RHEL     sudo dnf install -y nginx
  macOS            brew install nginx
`;
const READY_WITHIN_MS = 10_000;
const USAGE = 'usage: npm run pods [-- --port PORT]      default: any free port';
const say = (text) => process.stdout.write(`${text}\n`);

/** Runs until SIGINT or SIGTERM. */
export async function pods(args) {
  let dir;
  const ends = [];
  const stopped = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, resolve);
  });
  try {
    const wanted = readPort(args);
    ensureInstalled();
    ensureBuilt();
    obtainRedis();
    const nginx = obtainProgram(['nginx'], NGINX_HELP);
    dir = mkdtempSync(join(tmpdir(), 'berth-pods-'));
    const start = startAll(dir, nginx, wanted, ends);
    if ((await Promise.race([start, stopped.then(() => 'stopped')])) !== 'stopped') await stopped;
    await start.catch(() => undefined);
  } catch (error) {
    process.stderr.write(`pods: ${error.message}\n`);
    process.exitCode = error.exitCode ?? 1;
  } finally {
    say('\nEnding …');
    for (const end of ends.reverse()) await end();
    if (dir) rmSync(dir, { recursive: true, force: true });
  }
  process.exit();
}

function readPort(args) {
  try {
    const { values } = parseArgs({ args, options: { port: { type: 'string', default: '0' } } });
    const port = Number(values.port);
    if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  } catch {
    // Said below.
  }
  throw Object.assign(new Error(USAGE), { exitCode: 64 });
}

async function startAll(dir, nginx, wanted, ends) {
  const [{ Processes, coreOf }, { ADMIN_TOKEN, freePort }, { newSecret, PodPlace, RedisServer }, { parse }] = await Promise.all([
    import('../bench/processes.mjs'),
    import('../bench/pod.mjs'),
    import('../chaos/cluster.mjs'),
    import('yaml'),
  ]);
  const processes = new Processes();
  ends.push(() => processes.stop());
  say('Starting a Redis, a backend, three pods and nginx …');
  const redis = new RedisServer();
  ends.push(() => (redis.isUp ? redis.crash() : undefined));
  await redis.start(join(dir, 'redis'));
  const core = coreOf(undefined);
  const backendPort = await freePort('127.0.0.1');
  const everything = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js');
  const loopbackOnly = join(root, 'scripts', 'demo', 'loopback-only.mjs');
  const env = { ...process.env, PORT: String(backendPort) };
  // A pipe as its stdin: when we end without a word, so does it.
  const options = { env, stdio: ['pipe', 'ignore', 'ignore'], detached: true };
  processes.spawn(process.execPath, ['--import', loopbackOnly, everything, 'streamableHttp'], options, core);
  const port = wanted === 0 ? await freePort('127.0.0.1') : wanted;

  const { listen: _, admin: __, ...shipped } = parse(readFileSync(join(COMPOSE, 'berth.yaml'), 'utf8'));
  const secret = newSecret();
  const places = HOSTS.map((host, index) => {
    const config = {
      ...shipped,
      publicUrl: `http://127.0.0.1:${port}`,
      redis: { url: redis.url },
      internal: { host, secret },
      mcpServers: { everything: { ...shipped.mcpServers.everything, url: `http://127.0.0.1:${backendPort}/mcp` } },
    };
    return new PodPlace(`pod ${index + 1}`, { processes, dir: join(dir, `pod-${index + 1}`), host, config });
  });
  await Promise.all(places.map((place, index) => startPod(place, join(dir, `pod-${index + 1}`, 'log.jsonl'))));
  const balancer = startNginx(nginx, join(dir, 'nginx'), port, places, { processes, core });
  await untilServes(`http://127.0.0.1:${port}/readyz`, balancer);
  const url = `http://127.0.0.1:${port}/servers/demo/mcp`;
  say(`
Three pods of two workers behind nginx, which chooses one for each request.

  MCP     ${url}
${places.map(({ name, host, port: own, pid }) => `  ${name}   http://${host}:${own}   pid ${pid}   log ${join(dir, name.replace(' ', '-'), 'log.jsonl')}`).join('\n')}

${await snippetOf(url)}

Any of them shows all three: the dashboard at ${places[0].adminUrl}/ (token: ${ADMIN_TOKEN}), or
  BERTH_ADMIN_TOKEN=${ADMIN_TOKEN} npx berth sessions --admin ${places[0].adminUrl}

Kill what you like. Ctrl-C ends all.`);
}

/** For the first client; `berth snippets` has the others. */
async function snippetOf(url) {
  // On demand: it is there only when the gateway was built.
  const { formatSnippets, makeSnippets } = await import('../../dist/cli/snippets.js');
  const bridge = { command: 'npx', args: ['berth'] };
  const [first] = makeSnippets({ name: 'demo', url, needsKey: false, bridge });
  return `${formatSnippets([first])}\nFor other clients: npx berth snippets ${url}`;
}

/** @throws Error with the last words of its log, which is gone with our directory */
async function startPod(place, log) {
  try {
    await place.start();
  } catch (error) {
    throw new Error(`${error.message}\n${readFileSync(log, 'utf8').slice(-1000)}`);
  }
}

/** With the file of deploy/compose: the containers' names become addresses, the port becomes ours. */
function startNginx(program, dir, port, places, { processes, core }) {
  mkdirSync(dir, { recursive: true });
  let text = readFileSync(join(COMPOSE, 'nginx.conf'), 'utf8').replace('listen 8080', `listen 127.0.0.1:${port}`);
  for (const [index, { host, port: own }] of places.entries()) text = text.replace(`gateway-${index + 1}:8080`, `${host}:${own}`);
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${join(dir, kind)};`);
  const file = join(dir, 'nginx.conf');
  // Who runs it as root would have workers that cannot read this directory.
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  writeFileSync(
    file,
    `${user}pid ${join(dir, 'pid')};\nerror_log stderr warn;\n${text.replace('http {', `http {\n  ${paths.join('\n  ')}`)}`,
  );
  const checked = spawnSync(program, ['-t', '-q', '-p', dir, '-c', file], { encoding: 'utf8' });
  if (checked.status !== 0) throw new Error(`nginx does not accept deploy/compose/nginx.conf:\n${checked.stderr}`);
  const log = join(dir, 'error.log');
  return processes.spawn(
    program,
    ['-p', dir, '-c', file, '-g', `daemon off; error_log ${log} warn;`],
    { stdio: 'ignore', detached: true },
    core,
  );
}

async function untilServes(url, child) {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.status === 200) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`nginx does not serve ${url}, exit code ${child.exitCode}`);
}
