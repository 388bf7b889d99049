// Idle connections are closed by us before the backend does: calls in exactly the rhythm of its keep-alive limit never meet a
// connection that dies under them. A call that did would have an unknown outcome, for it is never repeated.
import type { Socket } from 'node:net';
import { pause, systemClock } from '../../../src/lifecycle/clock.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool } from './harness.js';

const { open } = useBackends();
const LANES = 25;
const ROUNDS = 4;
/** Share of the limit from which on a connection is as good as closed. */
const CLOSING_FROM = 0.9;

test('a backend that would keep its connections for a minute is left after the most that we keep them', async () => {
  const { session, strict } = await open({ keepAliveTimeoutMs: 60_000 }, {}, { maxIdleMs: 200 });
  expect((await callTool(session, 'echo')).error).toBeUndefined();
  await waitFor('its idle connections to be closed', () => strict.connections === 0);
});

test('300 calls, each when the backend is about to close the connection of the last one: none fails', async () => {
  const failures: unknown[] = [];
  const lanes = [1000, 1500, 2000].flatMap((keepAliveTimeoutMs) =>
    Array.from({ length: LANES }, async (_, lane) => {
      const { session, strict } = await open({ keepAliveTimeoutMs });
      // As over a network: near the limit its end of the connection is already closing while a request is on its way.
      const answeredMs = new WeakMap<Socket, number>();
      strict.always('tools/call', (request, response, b) => {
        const socket = response.socket as Socket;
        const idleMs = performance.now() - (answeredMs.get(socket) ?? Number.POSITIVE_INFINITY);
        if (idleMs > keepAliveTimeoutMs * CLOSING_FROM) {
          socket.resetAndDestroy();
          return;
        }
        answeredMs.set(socket, performance.now());
        b.answer(request, response);
      });
      for (let round = 0; round < ROUNDS; round++) {
        const { error } = await callTool(session, 'echo');
        if (error) failures.push({ keepAliveTimeoutMs, lane, round, details: error.details });
        // Not a wait for something: the rhythm is what is tested, from a little before the limit to a little behind it.
        await pause(systemClock, keepAliveTimeoutMs * (CLOSING_FROM + (0.2 * lane) / LANES));
      }
    }),
  );
  await Promise.all(lanes);
  expect(lanes).toHaveLength(300 / ROUNDS);
  expect(failures).toEqual([]);
}, 60_000);
