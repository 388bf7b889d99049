// S43: one word for what the workers say of a backend; what cannot be read is never shown as running.
import type { AskedWorker } from '../../../src/admin/ask-workers.js';
import { mergeBackend } from '../../../src/admin/merge-backends.js';
import type { BackendReport } from '../../../src/admin/worker-status.js';
import type { Lease } from '../../../src/directory/directory.js';

const worker = (id: string, report?: Omit<BackendReport, 'backend'>): AskedWorker => ({
  lease: { id } as Lease,
  leftMs: 1,
  status: report && { sessions: 0, streams: 0, backendSessions: 0, tools: {}, backends: [{ backend: 'b', ...report }] },
});
const merged = (...workers: AskedWorker[]) => {
  const { state, reason } = mergeBackend('b', workers);
  return [state, reason];
};
const up = worker('up', { state: 'up' });
const unused = worker('unused', { state: 'unknown' });
const silent = worker('silent');
const degraded = worker('degraded', { state: 'degraded', reason: 'bad_list' });
const down = worker('down', {
  state: 'down',
  reason: 'refused',
  sinceMs: 0,
  failures: 3,
  lastError: { reason: 'refused', atMs: 1000 },
  nextProbeMs: 2000,
  openSessions: 2,
});

test.each([
  ['all that know it say up', [up, unused, silent, up], ['up', null]],
  ['some fail', [up, down], ['degraded', 'refused']],
  ['its lists cannot be read anywhere', [degraded, degraded, unused], ['degraded', 'bad_list']],
  ['down here, degraded there: the worse reason', [degraded, down], ['degraded', 'refused']],
  ['down for all that know it', [down, unused, down, silent], ['down', 'refused']],
  ['used by nobody', [unused, silent], ['unknown', null]],
])('%s', (_, workers, expected) => expect(merged(...workers)).toEqual(expected));

test('says what each worker said, and who said nothing', () => {
  expect(mergeBackend('b', [down, silent]).workers).toEqual([
    {
      worker: 'down',
      answered: true,
      state: 'down',
      reason: 'refused',
      since: '1970-01-01T00:00:00.000Z',
      failures: 3,
      lastError: { reason: 'refused', at: '1970-01-01T00:00:01.000Z' },
      nextProbe: '1970-01-01T00:00:02.000Z',
      sessions: 2,
    },
    {
      worker: 'silent',
      answered: false,
      state: null,
      reason: null,
      since: null,
      failures: null,
      lastError: null,
      nextProbe: null,
      sessions: null,
    },
  ]);
});
