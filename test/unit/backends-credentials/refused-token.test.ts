// How long a token that a backend refused stays in use. Redis is away here: what is shared is tested with a real one (integration).
import { OAuthToken } from '../../../src/backends/credentials/oauth-token.js';
import type { GrantedToken } from '../../../src/backends/credentials/token-request.js';
import type { TokenStore } from '../../../src/directory/token-store.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { FakeClock } from '../../support/fake-clock.js';
import { waitFor } from '../../support/wait-for.js';

const away = () => Promise.reject(new Error('Redis is away'));
const REDIS_AWAY: TokenStore = { claim: away, publish: away, fail: away };

function make() {
  const clock = new FakeClock();
  const answers: Array<(token: GrantedToken) => void> = [];
  const token = new OAuthToken({
    backend: 'b',
    place: 'token/b/digest',
    store: REDIS_AWAY,
    keyring: makeKeyring(['a secret of the tests']),
    clock,
    logger: undefined,
    request: () => new Promise((resolve) => answers.push(resolve)),
  });
  const asked = (times: number) => waitFor(`request ${times}`, () => answers.length === times);
  const grant = (value: string) => answers.at(-1)?.({ value, lifeMs: 600_000 });
  const first = async () => {
    const wanted = token.ensure(clock.monotonicMs() + 60_000);
    await asked(1);
    grant('one');
    return wanted;
  };
  return { clock, token, asked, grant, first };
}

test('a refused token is used for 5 s more while another is fetched; who can wait for that one does', async () => {
  const { clock, token, asked, grant, first } = make();
  const old = await first();
  token.refuse(old);
  // Nobody had to ask for it.
  await asked(2);
  expect(token.current()).toBe(old);
  const waiting = token.ensure(clock.monotonicMs() + 60_000);
  clock.advance(4999);
  expect(token.current()).toBe(old);
  clock.advance(1);
  expect(token.current()).toBeUndefined();
  grant('two');
  expect(await waiting).toBe('Bearer two');
  expect(token.current()).toBe('Bearer two');
});

test('a new one takes its place at once', async () => {
  const { token, asked, grant, first } = make();
  token.refuse(await first());
  await asked(2);
  grant('two');
  await waitFor('the new one', () => token.current() === 'Bearer two');
});
