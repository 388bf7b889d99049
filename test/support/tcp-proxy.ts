// A TCP proxy between a pod and its Redis: the network in trouble, with a real Redis behind it.
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';

export interface TcpProxy {
  readonly port: number;
  /** Connections that pass through now. */
  readonly connections: number;
  /** Nothing passes in either direction, connections stay open and new ones are accepted: a partition. */
  stall(): void;
  /** What was on its way goes on, as on a network. */
  resume(): void;
  /** Ends every connection at once; new ones pass. */
  cut(): void;
  /**
   * The next command that contains `needle` reaches Redis, once; from then on its connection hears nothing more.
   * @returns whether that has happened
   */
  loseReplyTo(needle: string): () => boolean;
  /** In everything that Redis answers from now on. Of the same length, so that the protocol's lengths stay true. */
  replaceInReplies(text: string, by: string): void;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  isMute: boolean;
}

export async function startTcpProxy(to: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const losses = new Set<{ readonly needle: string; done: boolean }>();
  const replacements: Array<readonly [string, string]> = [];
  let isStalled = false;

  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ ...to, noDelay: true });
    const pair: Pair = { client, server, isMute: false };
    pairs.add(pair);
    let last = '';
    client.on('data', (bytes: Buffer) => {
      // A needle may lie across two chunks; only the end of the one before can be part of it.
      const seen = last + bytes.toString('latin1');
      for (const loss of losses) {
        if (loss.done || !seen.includes(loss.needle)) continue;
        loss.done = true;
        pair.isMute = true;
      }
      last = seen.slice(-100);
      server.write(bytes);
    });
    server.on('data', (bytes: Buffer) => {
      if (pair.isMute) return;
      if (replacements.length === 0) return void client.write(bytes);
      let text = bytes.toString('latin1');
      for (const [from, by] of replacements) text = text.replaceAll(from, by);
      client.write(Buffer.from(text, 'latin1'));
    });
    const end = () => {
      client.destroy();
      server.destroy();
      pairs.delete(pair);
    };
    for (const socket of [client, server]) socket.on('error', end).on('close', end);
    if (isStalled) pauseBoth(pair);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (!address || typeof address === 'string') throw new Error('no port');

  const cut = () => {
    for (const { client } of pairs) client.destroy();
  };
  return {
    port: address.port,
    get connections() {
      return pairs.size;
    },
    stall() {
      isStalled = true;
      for (const pair of pairs) pauseBoth(pair);
    },
    resume() {
      isStalled = false;
      for (const { client, server } of pairs) {
        client.resume();
        server.resume();
      }
    },
    cut,
    loseReplyTo(needle) {
      const loss = { needle, done: false };
      losses.add(loss);
      return () => loss.done;
    },
    replaceInReplies(text, by) {
      if (text.length !== by.length) throw new Error('of the same length');
      replacements.push([text, by]);
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        cut();
      }),
  };
}

function pauseBoth({ client, server }: Pair): void {
  client.pause();
  server.pause();
}
