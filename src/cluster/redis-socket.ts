// The few words that the primary says to its own Redis, over a raw socket: a client library would reconnect, queue and count where
// a plain "does anybody answer there?" is asked.
import { connect } from 'node:net';

export type PingOutcome =
  | 'up'
  /** It reads its data from disk: alive, not usable yet. */
  | 'loading'
  /** Somebody accepts, but says nothing, or nothing that we know. */
  | 'silent'
  /** Nobody listens. */
  | 'absent';

/** Asks the Redis at a Unix socket whether it is there. Never rejects. */
export async function pingSocket(path: string, withinMs: number): Promise<PingOutcome> {
  const reply = await ask(path, 'PING', withinMs);
  if (reply.kind !== 'line') return reply.kind;
  if (reply.text.startsWith('+PONG')) return 'up';
  return reply.text.startsWith('-LOADING') ? 'loading' : 'silent';
}

/**
 * Tells the Redis at a Unix socket to write down what it holds and to end; with an append-only file nothing is lost by that.
 * Resolves when it closed the connection, or after `withinMs`. Never rejects.
 */
export async function shutDownSocket(path: string, withinMs: number): Promise<void> {
  // NOSAVE: no snapshot beside the append-only file, which is written in any case.
  await ask(path, 'SHUTDOWN NOSAVE', withinMs);
}

type Reply = { readonly kind: 'line'; readonly text: string } | { readonly kind: 'silent' | 'absent' };

function ask(path: string, command: string, withinMs: number): Promise<Reply> {
  return new Promise((resolve) => {
    let text = '';
    let connected = false;
    const socket = connect(path);
    const finish = (reply: Reply) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reply);
    };
    const timer = setTimeout(() => finish({ kind: 'silent' }), withinMs);
    socket.setEncoding('latin1');
    socket.on('connect', () => {
      connected = true;
      socket.write(`${command}\r\n`);
    });
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\n')) finish({ kind: 'line', text });
    });
    socket.on('error', () => finish({ kind: connected ? 'silent' : 'absent' }));
    socket.on('close', () => finish({ kind: connected ? 'silent' : 'absent' }));
  });
}
