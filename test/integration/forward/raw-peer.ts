// A peer made of bare bytes: says what the test wants, when it wants.
import { createServer, type Server, type Socket } from 'node:net';
import { FRAME, FrameDecoder, writeFrameHead } from '../../../src/forward/frames.js';
import { DEFAULT_HOP_LIMITS, encodeHello } from '../../../src/forward/limits.js';
import { waitFor } from '../../support/wait-for.js';
import { makeSocketPath } from './hop-fixture.js';

export function frame(type: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload as string);
  const bytes = Buffer.alloc(8 + body.length);
  writeFrameHead(bytes, 0, type, id, body.length);
  body.copy(bytes, 8);
  return bytes;
}

export const HELLO = frame(FRAME.HELLO, 0, encodeHello(DEFAULT_HOP_LIMITS));

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export interface Seen {
  readonly type: number;
  readonly id: number;
  readonly payload: string;
}

/** Collects the frames that a socket brings; calls `onFrame` for each. */
export function collectFrames(socket: Socket, onFrame: (frame: Seen) => void = () => {}): Seen[] {
  const seen: Seen[] = [];
  const take = (type: number, id: number, payload: Buffer) => {
    seen.push({ type, id, payload: payload.toString() });
    onFrame({ type, id, payload: payload.toString() });
  };
  const decoder = new FrameDecoder({ onFrame: take, onData: (id, part) => take(FRAME.DATA, id, part) });
  socket.on('data', (chunk: Buffer) => decoder.push(chunk));
  socket.on('error', () => {});
  return seen;
}

export interface RawListener {
  readonly path: string;
  readonly server: Server;
  readonly sockets: Socket[];
  close(): Promise<void>;
}

export async function listenRaw(onSocket: (socket: Socket) => void): Promise<RawListener> {
  const { path, remove } = makeSocketPath();
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onSocket(socket);
  }).listen(path);
  await waitFor('the raw listener', () => server.listening);
  return {
    path,
    server,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      remove();
    },
  };
}
