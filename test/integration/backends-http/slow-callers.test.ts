// Callers that do not read hold back their backend alone, and only as long as nobody waits for what they hold.
import type { LookupFunction } from 'node:net';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { CollectingSink, callTool } from './harness.js';

/** Of calls that are held for seconds: how long the rest of 20 MB takes depends on the machine. */
const WITHIN_MS = 60_000;

describe('slow callers', () => {
  const { open, startStrict, connect, createSession } = useBackends();

  test('a slow caller stops the reading of a JSON body, and of events within one chunk', async () => {
    const { session, strict } = await open();
    const sink = new CollectingSink();
    sink.readiness.push(false);
    const done = callTool(session, 'big', { bytes: 20_000_000 }, { sink });
    await waitFor('a pause', () => sink.resume !== undefined);
    expect(sink.chunks).toHaveLength(1);
    await waitFor('the backend to be held back', () => strict.of('tools/call').length === 1);
    expect(sink.ended).toBe(false);
    sink.resume?.();
    expect((await done).text).toHaveLength(20_000_000);

    strict.options.reply = 'sse';
    const events = new CollectingSink();
    events.readiness.push(true, false);
    const eventsDone = callTool(session, 'progress', { steps: 5 }, { sink: events, progressToken: 7 });
    await waitFor('a pause', () => events.resume !== undefined);
    expect(events.messages).toHaveLength(2);
    events.resume?.();
    expect((await eventsDone).messages).toHaveLength(6);
  });

  test('slow callers that hold every connection are given up where others wait for one, not before', async () => {
    const { session } = await open({}, {}, { connections: 2 });
    const letGo: number[] = [];
    const slow = [0, 1].map((n) => {
      const sink = new CollectingSink();
      sink.readiness.push(false);
      const goOn = () => {
        letGo.push(n);
        sink.resume?.();
      };
      void callTool(session, 'big', { bytes: 20_000_000 }, { sink: Object.assign(sink, { letGo: goOn }), withinMs: WITHIN_MS });
      return sink;
    });
    await waitFor('both to be paused', () => slow.every(({ resume }) => resume !== undefined));
    const begun = performance.now();
    await waitFor('more time than anybody has while others wait', () => performance.now() - begun > 1500);
    expect(letGo).toEqual([]);
    expect((await callTool(session, 'echo', { text: 'quick' })).text).toContain('quick');
    // One for each that waits: the other one is let alone.
    expect(letGo).toHaveLength(1);
    for (const { resume } of slow) resume?.();
    for (const { done } of slow) expect((await done).text).toHaveLength(20_000_000);
  });

  test('a slow caller is let alone where others only wait for a connection of their own to be made', async () => {
    const strict = await startStrict();
    const held: Array<() => void> = [];
    let isHolding = false;
    const lookup = ((_name: string, _options: object, callback: (e: null, found: object[]) => void) => {
      const go = () => callback(null, [{ address: '127.0.0.1', family: 4 }]);
      if (isHolding) held.push(go);
      else go();
    }) as unknown as LookupFunction;
    const session = createSession(connect(`http://localhost:${strict.port}/mcp`, {}, { lookup, connections: 4 }));
    const sink = new CollectingSink();
    sink.readiness.push(false);
    let wasLetGo = false;
    const letGo = () => {
      wasLetGo = true;
    };
    void callTool(session, 'big', { bytes: 20_000_000 }, { sink: Object.assign(sink, { letGo }), withinMs: WITHIN_MS });
    await waitFor('a pause', () => sink.resume !== undefined);
    isHolding = true;
    const other = callTool(session, 'echo', { text: 'late' });
    await waitFor('the other one to wait for its connection', () => held.length > 0);
    const begun = performance.now();
    await waitFor('more time than anybody has while others wait', () => performance.now() - begun > 1600);
    expect(wasLetGo).toBe(false);
    for (const go of held) go();
    expect((await other).text).toContain('late');
    sink.resume?.();
    expect((await sink.done).text).toHaveLength(20_000_000);
  });
});
