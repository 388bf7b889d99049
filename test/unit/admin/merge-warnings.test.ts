// What workers find odd about a server is told where all of them that know it agree.
import { mergeWarnings } from '../../../src/admin/merge-warnings.js';
import type { WorkerStatus } from '../../../src/admin/worker-status.js';

const status = (warnings?: WorkerStatus['warnings']): WorkerStatus => ({
  ...{ sessions: 0, streams: 0, backendSessions: 0, backends: [], tools: {} },
  ...(warnings && { warnings }),
});
const about = (name: string, text = name) => ({ about: name, text });

it.each([
  ['nobody knows', [status(), status({ other: [about('x')] })], []],
  ['one knows', [status(), status({ s: [about('x'), about('y')] })], ['x', 'y']],
  ['all agree, whatever they suggest', [status({ s: [about('x', 'mine')] }), status({ s: [about('x', 'yours')] })], ['mine']],
  ['one knows better', [status({ s: [about('x'), about('y')] }), status({ s: [about('y')] })], ['y']],
  ['one knows that all is well', [status({ s: [about('x')] }), status({ s: [] })], []],
])('%s', (_what, statuses, expected) => {
  expect(mergeWarnings('s', statuses)).toEqual(expected);
});

it('finds nothing under names of a prototype', () => {
  expect(mergeWarnings('constructor', [status({ s: [about('x')] })])).toEqual([]);
});
