// A level that the client has set reaches backends that open later, or anew.
import type { BackendInfo } from '../../../src/backends/backend.js';
import type { OwnRequest, OwnRequests } from '../../../src/backends/own-requests.js';
import { LogLevels } from '../../../src/sessions/log-levels.js';
import type { Session } from '../../../src/sessions/session.js';
import { FakeClock } from '../../support/fake-clock.js';
import { settle } from './lease-fixture.js';

const logs = (capabilities: object = { logging: {} }): BackendInfo => ({
  protocolVersion: '2025-11-25',
  capabilities: capabilities as Record<string, unknown>,
});

function make() {
  const asked: OwnRequest[] = [];
  const ends: Array<() => void> = [];
  const ownRequests = {
    request: (_backend: unknown, request: OwnRequest) => {
      asked.push(request);
      return new Promise((_resolve, reject) => ends.push(() => reject(new Error('refused'))));
    },
  } as unknown as OwnRequests;
  const session = { backends: new Map([['b', {}]]), logLevel: undefined } as unknown as Session;
  return { asked, ends, session, levels: new LogLevels(ownRequests, new FakeClock()) };
}

test('what was set is set at a backend that opens, if it logs; before anything was set, nothing is', () => {
  const { asked, session, levels } = make();
  levels.opened(session, 'b', logs());
  session.logLevel = { params: { level: 'debug' }, headers: { 'x-tenant': 't' } };
  levels.opened(session, 'b', logs({ tools: {} }));
  levels.opened(session, 'gone', logs());
  expect(asked).toEqual([]);
  levels.opened(session, 'b', logs());
  expect(asked).toMatchObject([{ method: 'logging/setLevel', params: { level: 'debug' }, headers: { 'x-tenant': 't' } }]);
});

test('a backend that forgets its session over it is not told again for that, but by the next opening', async () => {
  const { asked, ends, session, levels } = make();
  session.logLevel = { params: { level: 'debug' }, headers: {} };
  levels.opened(session, 'b', logs());
  levels.opened(session, 'b', logs());
  expect(asked).toHaveLength(1);
  ends[0]?.();
  await settle();
  levels.opened(session, 'b', logs());
  expect(asked).toHaveLength(2);
});
