// The chaos run is worth what its checker notices: each kind of wrong has to break an invariant, and a clean run none.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

interface Verdict {
  readonly calls: number;
  readonly ok: number;
  readonly breaches: ReadonlyArray<{ readonly what: string; readonly count: number; readonly examples: readonly string[] }>;
}

const program = join(__dirname, 'fixtures/run-checked-load.mjs');

async function runWith(lie: string): Promise<Verdict> {
  const child = spawn(process.execPath, [program, lie], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await new Promise((resolve) => child.once('close', resolve));
  return JSON.parse(output) as Verdict;
}

test('a clean run breaks no invariant', async () => {
  const { breaches, calls, ok } = await runWith('none');
  expect(breaches).toEqual([]);
  expect(calls).toBeGreaterThan(10);
  expect(ok).toBe(calls);
});

test.each([
  ['alter', 'one byte of an answer is altered', ['wrong answer']],
  ['cross', "a call runs in another client's session", ['wrong answer', 'state lost without a word']],
  ['duplicate', 'a call runs twice', ['duplicate']],
  ['lose', 'an answer never comes', ['failure without a cause: hung']],
  [
    'deny',
    'a call that ran is said not to have begun',
    ['failure without a cause: 503 -32000', 'said not to have begun, but ran'],
  ],
  ['unknown', 'an outcome is unknown and nothing had happened', ['failure without a cause: 200 -32012']],
  ['forget', 'a live session is not found', ['lost session']],
  ['invent', 'an answer is made up', ['answered but never ran']],
  ['keep', 'a backend session is never ended', ['leaked backend session']],
])('%s: %s', async (lie, _text, expected) => {
  const { breaches } = await runWith(lie);
  expect(breaches.map(({ what }) => what)).toEqual(expect.arrayContaining(expected));
});
