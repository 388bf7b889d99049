import { mintSessionId, referenceOf } from '../../../src/protocol/ids.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { AskedIds } from '../../../src/sessions/asked-ids.js';
import { openQuestionId, sealQuestionId } from '../../../src/sessions/question-id.js';

test('of many the newest are kept, as many as the record has room for', () => {
  const kept = new AskedIds();
  const ids = Array.from({ length: 20 }, (_, n) => String(n).padStart(499, 'x'));
  for (const id of ids) kept.add(id);
  expect(kept.all).toEqual(ids.slice(-16));
  // Once more, or longer than all may be.
  for (const id of [ids[19] as string, 'y'.repeat(8192)]) kept.add(id);
  expect(kept.all).toEqual(ids.slice(-16));
  kept.delete(ids[10] as string);
  kept.add('z'.repeat(499));
  expect(kept.all).toHaveLength(16);
  expect(kept.all[0]).toBe(ids[4]);
});

test('the newest of that backend session is found; each is opened once, whatever a backend takes back', () => {
  const [keyring, session] = [makeKeyring(['secret']), referenceOf(mintSessionId())];
  const asked = { backend: 'b', id: 1, generation: 2 };
  const questions = [asked, { ...asked, backend: 'c' }, asked, { ...asked, generation: 3 }, { ...asked, id: '1' }];
  const ids = questions.map((one) => sealQuestionId(keyring, session, { ...one, progressToken: undefined }));
  const kept = new AskedIds();
  for (const ours of [...ids, 'sealed under a secret that is gone']) kept.add(ours);
  let opened = 0;
  const find = (wanted: Parameters<AskedIds['find']>[0]) =>
    kept.find(wanted, (ours) => {
      opened++;
      return openQuestionId(keyring, session, ours);
    });
  for (let times = 0; times < 3; times++) expect(find({ ...asked, id: 2 })).toBeUndefined();
  expect(questions.map(find)).toEqual([ids[2], ids[1], ids[2], ids[3], ids[4]]);
  expect(opened).toBe(ids.length + 1);
  expect(kept.all).toEqual(ids);
});
