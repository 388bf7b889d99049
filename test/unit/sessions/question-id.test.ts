import { mintSessionId, referenceOf } from '../../../src/protocol/ids.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { openQuestionId, type QuestionId, sealQuestionId } from '../../../src/sessions/question-id.js';

const keyring = makeKeyring(['secret']);
const session = referenceOf(mintSessionId());
const asked: QuestionId = { backend: 'b', id: 7, generation: 2, progressToken: undefined };

test('says who asked what, with the type of the id, at any worker that has the secret', () => {
  for (const question of [asked, { ...asked, id: '7', progressToken: 0 }, { ...asked, progressToken: 'p' }]) {
    const ours = sealQuestionId(keyring, session, question);
    expect(openQuestionId(makeKeyring(['newer', 'secret']), session, ours)).toEqual(question);
  }
});

test('opens in no other session, and nobody makes one up', () => {
  const ours = sealQuestionId(keyring, session, asked);
  expect(openQuestionId(keyring, referenceOf(mintSessionId()), ours)).toBeUndefined();
  expect(openQuestionId(makeKeyring(['other']), session, ours)).toBeUndefined();
  expect(openQuestionId(keyring, session, `${ours[0] === 'A' ? 'B' : 'A'}${ours.slice(1)}`)).toBeUndefined();
  expect(openQuestionId(keyring, session, '["b",7,2]')).toBeUndefined();
});
