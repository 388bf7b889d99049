// Whoever has not the key runs nothing and is counted; whoever breaks the protocol loses the connection and is counted.
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { readMessage } from '../../../src/edge/read-message.js';
import { CANCEL_REASON, FRAME } from '../../../src/forward/frames.js';
import { listenInternally } from '../../../src/forward/listener.js';
import { pskClientOptions } from '../../../src/forward/psk.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { waitFor } from '../../support/wait-for.js';
import { echo, type Hopping, KEYS, makeCall, makeLease, makeSocketPath, startHop, TAKE } from './hop-fixture.js';
import { collectFrames, frame, HELLO, uint32 } from './raw-peer.js';

const HEAD = (parts: object = {}) =>
  JSON.stringify({ m: 'POST', s: '', p: 'a', g: 'd', d: 1000, b: 2, h: { 'x-forwarded-internally': 'true' }, ...parts });

describe('on TCP', () => {
  let hop: Hopping;
  let ran = 0;
  beforeEach(async () => {
    ran = 0;
    hop = await startHop({
      over: 'tls',
      limits: { lingerMs: 300 },
      handler: (exchange) => {
        ran += 1;
        echo(exchange);
      },
    });
  });
  afterEach(() => hop.close());

  async function forwardWith(secrets: string[]) {
    const stranger = await startHop({ over: 'tls', forwarderKeys: makeKeyring(secrets) });
    const outcome = await stranger.forwarder.forward(makeCall().exchange, hop.lease, TAKE);
    await stranger.close();
    return outcome;
  }

  test('another secret: refused in the handshake, counted, nothing runs', async () => {
    expect(await forwardWith(['a wrong one', 'another'])).toEqual({ kind: 'notBegun', reason: 'handshake' });
    await waitFor('both attempts to be counted', () => hop.refused.length === 2);
    expect(ran).toBe(0);
  });

  test('the right key id with a wrong key: refused and counted', async () => {
    const { id } = KEYS.psk[0] as { id: string };
    const outcome = await startHop({ over: 'tls', forwarderKeys: { seal: [], psk: [{ id, key: Buffer.alloc(32, 7) }] } }).then(
      async (stranger) => {
        const result = await stranger.forwarder.forward(makeCall().exchange, hop.lease, TAKE);
        await stranger.close();
        return result;
      },
    );
    expect(outcome).toEqual({ kind: 'notBegun', reason: 'handshake' });
    await waitFor('the attempt to be counted', () => hop.refused.length === 1);
    expect(hop.refused).toEqual(['handshake_key']);
  });

  test('plain text, and our own frames without TLS, are refused and counted', async () => {
    const port = hop.listener.tcp?.port as number;
    const attempts = [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      Buffer.concat([HELLO, frame(FRAME.HEAD, 1, HEAD())]),
      Buffer.alloc(3000, 255),
    ];
    for (const bytes of attempts) {
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
      socket.on('error', () => {});
      await waitFor('to be thrown out', () => socket.destroyed);
    }
    await waitFor('all to be counted', () => hop.refused.length === attempts.length);
    expect(ran).toBe(0);
  });

  test('who says nothing is thrown out', async () => {
    const port = hop.listener.tcp?.port as number;
    const silent = connect(port, '127.0.0.1').on('error', () => {});
    const key = KEYS.psk[0] as (typeof KEYS.psk)[number];
    const greetingless = connectTls({ ...pskClientOptions(key), host: '127.0.0.1', port }).on('error', () => {});
    silent.resume();
    greetingless.resume();
    await waitFor('both to be thrown out', () => silent.destroyed && greetingless.destroyed);
    expect(hop.refused.sort()).toEqual(['handshake_timeout', 'hello_timeout']);
  });

  test('captured bytes that are sent again do nothing', async () => {
    const captured: Buffer[] = [];
    const proxy = createServer((caller) => {
      const owner = connect(hop.listener.tcp?.port as number, '127.0.0.1');
      caller.on('data', (bytes: Buffer) => captured.push(bytes));
      caller.pipe(owner).pipe(caller);
      caller.on('error', () => {});
      owner.on('error', () => {});
    }).listen(0, '127.0.0.1');
    await waitFor('the proxy', () => proxy.listening);
    const { port } = proxy.address() as { port: number };
    const outcome = await hop.forwarder.forward(makeCall().exchange, makeLease({ tcp: { host: '127.0.0.1', port } }), TAKE);
    expect(outcome.kind).toBe('answered');
    expect(ran).toBe(1);
    await hop.forwarder.close(100);
    const socket = connect(hop.listener.tcp?.port as number, '127.0.0.1', () => {
      for (const bytes of captured) socket.write(bytes);
    }).on('error', () => {});
    socket.resume();
    await waitFor('the replay to be thrown out', () => socket.destroyed);
    await waitFor('the replay to be counted', () => hop.refused.length === 1);
    expect(ran).toBe(1);
    expect(Buffer.concat(captured).includes('tools/call')).toBe(false);
    proxy.close();
  });

  test('a session of TLS is not resumed: every connection proves the key', async () => {
    const key = KEYS.psk[0] as (typeof KEYS.psk)[number];
    const port = hop.listener.tcp?.port as number;
    const open = async (session?: Buffer): Promise<TLSSocket> => {
      let ready = false;
      const socket = connectTls({ ...pskClientOptions(key), host: '127.0.0.1', port, session }, () => (ready = true));
      await waitFor('the handshake', () => ready);
      return socket;
    };
    const first = await open();
    const second = await open(first.getSession());
    expect(second.isSessionReused()).toBe(false);
    expect([second.getProtocol(), second.getCipher().name]).toEqual(['TLSv1.2', 'ECDHE-PSK-CHACHA20-POLY1305']);
    first.destroy();
    second.destroy();
  });

  test('TLS 1.3 and other suites are not spoken', async () => {
    const key = KEYS.psk[0] as (typeof KEYS.psk)[number];
    const port = hop.listener.tcp?.port as number;
    for (const options of [{ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' }, { ciphers: 'PSK-AES128-GCM-SHA256' }] as const) {
      const socket = connectTls({ ...pskClientOptions(key), host: '127.0.0.1', port, ...options }).on('error', () => {});
      await waitFor('to be refused', () => socket.destroyed);
    }
    await waitFor('both to be counted', () => hop.refused.length === 2);
  });
});

test.each([
  ['owner old, forwarder new', ['old'], ['new', 'old'], 'answered'],
  ['owner new, forwarder old', ['new', 'old'], ['old'], 'answered'],
  ['both in the middle', ['new', 'old'], ['new', 'old'], 'answered'],
  ['owner done, forwarder old', ['new'], ['old'], 'notBegun'],
])('rotation of the secret: %s', async (_name, owner, forwarder, kind) => {
  const hop = await startHop({ over: 'tls', ownerKeys: makeKeyring(owner), forwarderKeys: makeKeyring(forwarder) });
  expect((await hop.forward(makeCall())).kind).toBe(kind);
  await hop.close();
});

describe('a peer that breaks the protocol', () => {
  let hop: Hopping;
  let socket: Socket;
  let ran = 0;
  beforeEach(async () => {
    ran = 0;
    hop = await startHop({ limits: { bodyBytes: 300_000 }, handler: () => (ran += 1) });
    socket = connect(hop.listener.unixSocket);
  });
  afterEach(() => {
    socket.destroy();
    return hop.close();
  });

  const head = (parts: object = {}) => frame(FRAME.HEAD, 1, HEAD(parts));
  test.each<[string, string, Buffer[]]>([
    ['says no HELLO', 'hello_missing', [head()]],
    ['sends DATA before HELLO', 'hello_missing', [frame(FRAME.DATA, 1, 'x')]],
    ['says HELLO twice', 'hello_repeated', [HELLO, HELLO]],
    ['says an unreadable HELLO', 'hello', [frame(FRAME.HELLO, 0, '{"ver')]],
    [
      'promises too little',
      'hello',
      [frame(FRAME.HELLO, 0, '{"version":1,"bodyBytes":1,"streamBytes":5,"pairBytes":1,"streams":1}')],
    ],
    ['speaks another version', 'version', [frame(FRAME.HELLO, 0, '{"version":9}')]],
    ['sends garbage', 'frame_type', [HELLO, Buffer.alloc(20, 99)]],
    ['sends an unreadable HEAD', 'request_head', [HELLO, frame(FRAME.HEAD, 1, '{}')]],
    ['sends HEAD twice', 'stream_order', [HELLO, head(), head()]],
    ['goes back in ids', 'stream_order', [HELLO, frame(FRAME.HEAD, 5, HEAD()), head()]],
    ['sends more than it announced', 'request_length', [HELLO, head(), frame(FRAME.DATA, 1, '{}x')]],
    ['sends less than it announced', 'request_length', [HELLO, head(), frame(FRAME.DATA, 1, '{'), frame(FRAME.END, 1)]],
    ['sends on a stream that never was', 'stream_unknown', [HELLO, frame(FRAME.DATA, 8, 'x')]],
    ['gives back what was not sent', 'credit_unspent', [HELLO, head(), frame(FRAME.CREDIT, 1, uint32(1))]],
    ['says GOAWAY to the owner', 'goaway', [HELLO, frame(FRAME.GOAWAY, 0, uint32(0))]],
  ])('%s', async (_name, reason, frames) => {
    collectFrames(socket);
    socket.write(Buffer.concat(frames));
    await waitFor(`the connection to be closed for ${reason}`, () => socket.destroyed);
    expect(hop.refused).toEqual([reason]);
    expect(ran).toBe(0);
  });

  test('sends beyond its credit', async () => {
    const waiting = await startHop({ limits: { gatherBytes: 1, bodyBytes: 1_000_000 }, handler: () => {} });
    const greedy = connect(waiting.listener.unixSocket);
    collectFrames(greedy);
    // The first large body has all the room, so the second gets no credit back.
    const large = (id: number) => frame(FRAME.HEAD, id, HEAD({ b: 900_000 }));
    greedy.write(Buffer.concat([HELLO, large(1), large(2)]));
    for (let n = 0; n < 5; n += 1) greedy.write(frame(FRAME.DATA, 2, Buffer.alloc(65_536)));
    await waitFor('to be thrown out', () => greedy.destroyed);
    expect(waiting.refused).toEqual(['credit_exceeded']);
    await waiting.close();
  });

  test.each([
    ['no JSON', '{{', 'request_body'],
    ['no message', '{}', 'request_body'],
  ])('a body that is %s is refused alone, as not begun', async (_name, text, reason) => {
    const seen = collectFrames(socket);
    socket.write(Buffer.concat([HELLO, head(), frame(FRAME.DATA, 1, text), frame(FRAME.END, 1)]));
    await waitFor('CANCEL', () => seen.find((f) => f.type === FRAME.CANCEL));
    expect(seen.at(-1)).toMatchObject({ id: 1, payload: String.fromCharCode(CANCEL_REASON.refused) });
    expect([hop.refused, ran, socket.destroyed]).toEqual([[reason], 0, false]);
  });

  test('a body over the limit is refused from its announcement', async () => {
    const seen = collectFrames(socket);
    socket.write(Buffer.concat([HELLO, head({ b: 300_001 }), frame(FRAME.DATA, 1, 'ignored')]));
    await waitFor('CANCEL', () => seen.find((f) => f.type === FRAME.CANCEL));
    expect(hop.refused).toEqual(['body_limit']);
  });
});

test('ports: the first free one of the list; none free is a start error', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await waitFor('a taken port', () => taken.listening);
  const { port } = taken.address() as { port: number };
  const listen = (ports: number[], path: string) =>
    listenInternally({
      unixSocket: path,
      tcp: { host: '127.0.0.1', ports },
      keyring: KEYS,
      handler: echo,
      readMessage,
      clock: systemClock,
      onRefused: () => {},
    });
  const first = makeSocketPath();
  const listener = await listen([port, 0], first.path);
  expect(listener.tcp?.port).not.toBe(port);
  const second = makeSocketPath();
  await expect(listen([port], second.path)).rejects.toMatchObject({ exitCode: 69 });
  await expect(listen([0], first.path)).rejects.toMatchObject({ exitCode: 69 });
  await listener.close(0);
  taken.close();
  first.remove();
  second.remove();
});
