// A backend that is down hides its lists without being asked for them, keeps its names, and shows them again without a second notice.
import type { CatalogChange } from '../../../src/backends/catalog-cache.js';
import { CatalogCache } from '../../../src/backends/catalog-cache.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { FakeClock } from '../../support/fake-clock.js';

const broken = () => {
  const details = { backend: 'a', reason: 'broken', cause: 'refused' };
  return Promise.reject(new GatewayError('BACKEND_UNAVAILABLE', { details }));
};
const reads =
  (...names: string[]) =>
  async () => ({ entries: names.map((name) => ({ name })) });

function setUp() {
  const changes: CatalogChange[] = [];
  return { changes, cache: new CatalogCache(new FakeClock(), { onChange: (change) => changes.push(change) }) };
}

test('hidden: no longer shown in any scope, names still known, other backends untouched', async () => {
  const { cache } = setUp();
  await cache.get('a', '', 'tools', reads('x'));
  await cache.get('a', 'mine', 'prompts', reads('p'));
  await cache.get('b', '', 'tools', reads('y'));
  expect(Object.fromEntries(cache.hide('a', 'refused'))).toEqual({ tools: true, prompts: true });
  expect(cache.known('a', '').parts.tools).toMatchObject({ available: false, error: 'refused', entries: [{ name: 'x' }] });
  expect(cache.known('b', '').parts.tools?.available).toBe(true);
  expect(cache.failureOf('a')).toBe('refused');
  expect(cache.failureOf('b')).toBeUndefined();
});

test('scopes that no session has for itself: the one that changed last tells how the backend fares', async () => {
  const { cache } = setUp();
  await cache.get('a', ':sampling', 'tools', reads('x', 'ask'));
  await cache.get('a', 'mine', 'tools', reads('x', 'mine', 'more'));
  expect(cache.latest('a').parts.tools?.entries).toHaveLength(2);
  await cache.get('a', '', 'tools', reads('x'));
  expect(cache.latest('a').parts.tools?.entries).toHaveLength(1);
  cache.invalidate('a');
  await cache.get('a', ':sampling', 'tools', broken);
  expect(cache.failureOf('a')).toBe('refused');
});

test('what a failed load had hidden before is told as not shown; what was never read is not told at all', async () => {
  const { cache } = setUp();
  await cache.get('a', '', 'tools', reads('x'));
  cache.invalidate('a');
  await cache.get('a', '', 'tools', broken);
  await cache.get('a', '', 'prompts', broken);
  expect([...cache.hide('a', 'refused')]).toEqual([['tools', false]]);
});

test('shown again: read anew when next asked for; a list that is what it was is told to nobody a second time', async () => {
  const { cache, changes } = setUp();
  await cache.get('a', '', 'tools', reads('x'));
  cache.hide('a', 'refused');
  await cache.get('a', '', 'tools', broken);
  expect([...cache.show('a')]).toEqual(['tools']);
  expect(cache.peek('a', '', 'tools')).toBeUndefined();
  await cache.get('a', '', 'tools', reads('x'));
  expect(changes).toEqual([]);
  expect([...cache.show('a')]).toEqual([]);
});

test('one that comes back with another list tells it', async () => {
  const { cache, changes } = setUp();
  await cache.get('a', '', 'tools', reads('x'));
  cache.hide('a', 'refused');
  cache.show('a');
  await cache.get('a', '', 'tools', reads('x', 'y'));
  expect(changes).toHaveLength(1);
});

test('never read, then shown: the first good read is told by nobody, for whoever asked for it was told to ask', async () => {
  const { cache, changes } = setUp();
  await cache.get('a', '', 'tools', broken);
  expect([...cache.show('a')]).toEqual(['tools']);
  await cache.get('a', '', 'tools', reads('x'));
  expect(changes).toEqual([]);
});

test('what is read while it goes down is void', async () => {
  const { cache } = setUp();
  await cache.get('a', '', 'tools', reads('x'));
  cache.invalidate('a');
  let answer: ((names: string[]) => void) | undefined;
  let loads = 0;
  const load = async () => {
    if (++loads > 1) return broken();
    const names = await new Promise<string[]>((resolve) => {
      answer = resolve;
    });
    return reads(...names)();
  };
  const asked = cache.get('a', '', 'tools', load);
  cache.hide('a', 'refused');
  answer?.(['x']);
  expect((await asked).available).toBe(false);
});
