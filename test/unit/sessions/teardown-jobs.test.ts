import { jobsOf } from '../../../src/sessions/end-session.js';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import type { SessionRef } from '../../../src/protocol/ids.js';

const record = (transport: BackendSessionRecord['transport']): BackendSessionRecord => ({
  generation: 1,
  sealed: 's',
  protocolVersion: '2025-11-25',
  capabilities: {},
  transport,
});

test('only what outlives its worker is torn down by a job: a child or an event stream ended with it', () => {
  const backends = { a: record('http'), b: record('stdio'), c: record('sse') };
  expect(jobsOf('ref' as SessionRef, { backends }).map(({ backend }) => backend)).toEqual(['a']);
});
