// What the public edge counts before it reads: connections, and bodies that are large.
import { EventEmitter } from 'node:events';
import { BodyRoom, SMALL_BODY_BYTES } from '../../../src/edge/body-room.js';
import { Connections } from '../../../src/edge/connections.js';

const KIB = 1024;
const full = expect.objectContaining({ code: 'OVERLOADED', details: { reason: 'bodies' } });

describe('large bodies', () => {
  it('small ones need no place', () => {
    const room = new BodyRoom(1024 * KIB, 100 * KIB);
    expect(room.enter(SMALL_BODY_BYTES)).toBeUndefined();
    expect(room.bytes).toBe(0);
  });

  it('have one as long as they are needed, and what leaves makes room', () => {
    const room = new BodyRoom(100 * KIB, 200 * KIB);
    const first = room.enter(100 * KIB);
    first?.cover(100 * KIB);
    room.enter(100 * KIB)?.cover(100 * KIB);
    expect(() => room.enter(100 * KIB)).toThrow(full);
    first?.leave();
    first?.leave();
    expect(room.bytes).toBe(100 * KIB);
    expect(room.enter(100 * KIB)).toBeDefined();
  });

  it('that are declared and not sent keep nobody out', () => {
    const room = new BodyRoom(100 * KIB, 200 * KIB);
    for (let n = 0; n < 10; n++) room.enter(100 * KIB);
    expect(room.bytes).toBe(0);
    const places = [room.enter(100 * KIB), room.enter(100 * KIB), room.enter(100 * KIB)];
    places[0]?.cover(100 * KIB);
    places[1]?.cover(100 * KIB);
    expect(() => places[2]?.cover(65 * KIB)).toThrow(full);
  });

  it('of unknown length take what they have got so far, beyond what is small', () => {
    const room = new BodyRoom(100 * KIB, 200 * KIB);
    const place = room.enter(undefined);
    place?.cover(64 * KIB);
    expect(room.bytes).toBe(0);
    place?.cover(90 * KIB);
    expect(room.bytes).toBe(90 * KIB);
    const other = room.enter(100 * KIB);
    other?.cover(100 * KIB);
    expect(() => place?.cover(110 * KIB)).toThrow(full);
    expect(room.bytes).toBe(190 * KIB);
    place?.leave();
    other?.leave();
    expect(room.bytes).toBe(0);
  });

  it('one of the largest size allowed finds room in an empty one', () => {
    expect(new BodyRoom(500 * KIB, 100 * KIB).enter(500 * KIB)).toBeDefined();
  });
});

class FakeSocket extends EventEmitter {
  destroyed = false;

  destroy(): this {
    this.destroyed = true;
    return this;
  }
}

describe('connections', () => {
  const connect = (connections: Connections) => {
    const socket = new FakeSocket();
    return { socket, isCounted: connections.count(socket) };
  };

  it('one too many is known as such for as long as it lasts, others are not', () => {
    const connections = new Connections(
      () => 2,
      () => undefined,
    );
    const [first, second, third] = [connect(connections), connect(connections), connect(connections)];
    expect([first, second, third].map(({ socket }) => connections.isExcess(socket))).toEqual([false, false, true]);
    third.socket.emit('close');
    expect([connections.open, connections.isExcess(third.socket)]).toEqual([2, false]);
    first.socket.emit('close');
    expect(connections.isExcess(connect(connections).socket)).toBe(false);
  });

  it('only behind a reserve they are closed without a word', () => {
    let cut = 0;
    const connections = new Connections(
      () => 1,
      () => {
        cut += 1;
      },
    );
    const all = Array.from({ length: 1002 }, () => connect(connections));
    expect(all.map(({ isCounted }) => isCounted)).toEqual([...Array<boolean>(1001).fill(true), false]);
    expect([all.at(-1)?.socket.destroyed, all.at(-2)?.socket.destroyed, cut, connections.open]).toEqual([true, false, 1, 1001]);
  });
});
