// A request that is sent in the moment in which its connection is closed is lost to its client, who may not send it again. Broke a
// rolling restart for clients that keep connections: an answer that had begun before the drain could not say `connection: close`, and
// the worker was gone while the next request over the same connection was on its way.
import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LastWord } from '../../../src/cluster/last-word.js';
import { FakeClock } from '../../support/fake-clock.js';
import { waitFor } from '../../support/wait-for.js';

let server: Server;
let port: number;
let agent: Agent;
let clock: FakeClock;
let held: ServerResponse | undefined;
let isDraining: boolean;

beforeEach(async () => {
  held = undefined;
  isDraining = false;
  clock = new FakeClock();
  agent = new Agent({ keepAlive: true, maxSockets: 1 });
  server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    response.writeHead(200, isDraining ? { connection: 'close' } : {});
    response.write('begun ');
    if (request.url === '/held') held = response;
    else response.end('ended');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  agent.destroy();
  server.closeAllConnections();
  server.close();
});

async function ask(path: string): Promise<IncomingMessage> {
  const call = get({ host: '127.0.0.1', port, path, agent });
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  expect(call.reusedSocket).toBe(path === '/next');
  return answer;
}

function beginDrain(begun: ServerResponse[]): LastWord {
  isDraining = true;
  const last = new LastWord(
    server,
    clock,
    begun.map((response) => ({
      get finished() {
        return response.writableEnded;
      },
    })),
  );
  last.stopAccepting();
  return last;
}

async function wholeOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of answer) text += String(part);
  return text;
}

const isOver = (last: LastWord) => waitFor('no request to come any more', () => !last.mayCome());

test('an answer that began before the drain ends late: its connection brings one more request, which is told', async () => {
  const answer = await ask('/held');
  const last = beginDrain([held as ServerResponse]);
  clock.advance(10_000);
  expect(last.mayCome()).toBe(true);
  held?.end('ended');
  expect(await wholeOf(answer)).toBe('begun ended');
  expect(last.mayCome()).toBe(true);
  clock.advance(900);
  expect(last.mayCome()).toBe(true);
  const next = await ask('/next');
  expect(next.headers.connection).toBe('close');
  expect(await wholeOf(next)).toBe('begun ended');
  await isOver(last);
});

test('its connection is closed when nothing came over it for a second', async () => {
  const answer = await ask('/held');
  const closed = once(answer.socket, 'close');
  const last = beginDrain([held as ServerResponse]);
  held?.end('ended');
  await wholeOf(answer);
  expect(last.mayCome()).toBe(true);
  clock.advance(1000);
  await isOver(last);
  await closed;
});

test('an idle connection is left open for a second', async () => {
  const answer = await ask('/idle');
  await wholeOf(answer);
  const last = beginDrain([]);
  clock.advance(900);
  expect(last.mayCome()).toBe(true);
  expect((await ask('/next')).headers.connection).toBe('close');
  await isOver(last);
});

test('without connections there is nothing to wait for', async () => {
  await isOver(beginDrain([]));
});
