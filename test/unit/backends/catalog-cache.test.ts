import type { Catalog } from '../../../src/backends/catalog.js';
import {
  CatalogCache,
  type CatalogCacheOptions,
  type CatalogChange,
  type CatalogLoad,
} from '../../../src/backends/catalog-cache.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { FakeClock } from '../../support/fake-clock.js';

const MINUTE_MS = 60_000;
const dead = () => new GatewayError('BACKEND_UNAVAILABLE', { details: { reason: 'connect_refused' } });

/** A backend whose answers the test gives when it wants to. */
class Source {
  loads = 0;
  #waiting: Array<{ resolve: (names: string[]) => void; reject: (error: unknown) => void }> = [];
  readonly load = async () => {
    this.loads++;
    const names = await new Promise<string[]>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    return { entries: names.map((name) => ({ name })) };
  };
  answer(...names: string[]): void {
    this.#waiting.shift()?.resolve(names);
  }
  fail(error: unknown): void {
    this.#waiting.shift()?.reject(error);
  }
}

function setUp(options: CatalogCacheOptions = {}) {
  const clock = new FakeClock();
  const changes: CatalogChange[] = [];
  const cache = new CatalogCache(clock, { onChange: (change) => changes.push(change), ...options });
  const source = new Source();
  const get = (scope = '', load: CatalogLoad = source.load) => cache.get('a', scope, 'tools', load);
  return { clock, cache, source, get, changes };
}

const namesOf = ({ entries }: { readonly entries: ReadonlyArray<Readonly<Record<string, unknown>>> }) =>
  entries.map(({ name }) => name);
const settle = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

describe('CatalogCache', () => {
  it('reads once for all who ask at the same time, and not again while fresh', async () => {
    const { get, source, cache } = setUp();
    const asked = [get(), get(), get()];
    source.answer('x');
    for (const part of await Promise.all(asked)) expect(part).toMatchObject({ available: true, entries: [{ name: 'x' }] });
    expect(await get()).toBe(cache.peek('a', '', 'tools'));
    expect(source.loads).toBe(1);
  });

  it('reads again after 5 minutes, or earlier if the backend says so', async () => {
    const { get, clock, cache } = setUp();
    const load = (ttlMs?: number) => async () => ({ entries: [], ...(ttlMs === undefined ? {} : { ttlMs }) });
    await get('', load());
    clock.advance(5 * MINUTE_MS - 1);
    expect(cache.peek('a', '', 'tools')).toBeDefined();
    clock.advance(1);
    expect(cache.peek('a', '', 'tools')).toBeUndefined();
    await get('', load(1000));
    clock.advance(1000);
    expect(cache.peek('a', '', 'tools')).toBeUndefined();
    await get('', load(60 * MINUTE_MS));
    clock.advance(5 * MINUTE_MS);
    expect(cache.peek('a', '', 'tools')).toBeUndefined();
  });

  it('never shares a list between scopes, backends or kinds', async () => {
    const { cache } = setUp();
    const load = (name: string) => async () => ({ entries: [{ name }] });
    await cache.get('a', 'alice', 'tools', load('x'));
    expect(cache.peek('a', 'bob', 'tools')).toBeUndefined();
    expect(namesOf(await cache.get('a', 'bob', 'tools', load('y')))).toEqual(['y']);
    expect(cache.peek('a', '', 'tools')).toBeUndefined();
    expect(cache.peek('b', 'alice', 'tools')).toBeUndefined();
    expect(cache.peek('a', 'alice', 'prompts')).toBeUndefined();
  });

  it('keeps equal lists of many sessions in memory once', async () => {
    const { cache } = setUp();
    const load = async () => ({ entries: [{ name: 'x' }] });
    const [one, two] = [await cache.get('a', 'alice', 'tools', load), await cache.get('a', 'bob', 'tools', load)];
    expect(two.entries).toBe(one.entries);
  });

  it('keeps the last known entries of a backend that fails, and says that they are not available', async () => {
    const { get, source, clock, cache } = setUp();
    void get();
    source.answer('x');
    await settle();
    clock.advance(5 * MINUTE_MS);
    const asked = get();
    source.fail(dead());
    expect(await asked).toMatchObject({ available: false, error: 'connect_refused', entries: [{ name: 'x' }] });
    expect(cache.known('a', '').parts.tools?.available).toBe(false);
  });

  it('does not ask a failed backend again for 5 s', async () => {
    const { get, source, clock } = setUp();
    const first = get();
    source.fail(new Error('socket: secret'));
    expect(await first).toMatchObject({ available: false, error: 'unexpected', entries: [] });
    clock.advance(4999);
    await get();
    expect(source.loads).toBe(1);
    clock.advance(1);
    void get();
    expect(source.loads).toBe(2);
  });

  it('lets lists wait only shortly for a backend that failed last time, and tells when it is back (S70)', async () => {
    const { get, source, clock, changes } = setUp();
    void get();
    source.fail(dead());
    await settle();
    clock.advance(5000);
    const impatient = get();
    clock.advance(500);
    expect((await impatient).available).toBe(false);
    source.answer('x');
    await settle();
    expect(changes).toMatchObject([{ backend: 'a', scope: '', kind: 'tools', part: { available: true } }]);
    expect((await get()).available).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives the new list at once if the failed backend answers within the grace', async () => {
    const { get, source, clock } = setUp();
    void get();
    source.fail(dead());
    await settle();
    clock.advance(5000);
    const asked = get();
    source.answer('x');
    expect((await asked).available).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('reads anew after an invalidation, in all scopes, of the named kind only', async () => {
    const { cache } = setUp();
    const load = async () => ({ entries: [] });
    await cache.get('a', '', 'tools', load);
    await cache.get('a', 's', 'tools', load);
    await cache.get('a', '', 'prompts', load);
    await cache.get('b', '', 'tools', load);
    cache.invalidate('a', 'tools');
    expect(cache.peek('a', '', 'tools')).toBeUndefined();
    expect(cache.peek('a', 's', 'tools')).toBeUndefined();
    expect(cache.peek('a', '', 'prompts')).toBeDefined();
    expect(cache.peek('b', '', 'tools')).toBeDefined();
    cache.invalidate('a');
    expect(cache.peek('a', '', 'prompts')).toBeUndefined();
  });

  it('reads again when the list changed while it was read', async () => {
    const { get, source, cache } = setUp();
    const asked = get();
    cache.invalidate('a', 'tools');
    source.answer('old');
    await settle();
    expect(source.loads).toBe(2);
    source.answer('new');
    expect(namesOf(await asked)).toEqual(['new']);
    expect(cache.peek('a', '', 'tools')).toBeDefined();
  });

  it('ends even if the list changes during every read, and does not keep the result as fresh', async () => {
    const { get, source, cache } = setUp();
    const asked = get();
    for (const name of ['1', '2', '3', '4']) {
      cache.invalidate('a');
      source.answer(name);
      await settle();
    }
    expect(namesOf(await asked)).toEqual(['3']);
    expect(cache.peek('a', '', 'tools')).toBeUndefined();
  });

  it('uses the load of another caller when the session of the first one ended', async () => {
    const { get, source, cache } = setUp();
    const other = new Source();
    const asked = [get(), get('', other.load)];
    source.fail(new GatewayError('NOT_OWNER'));
    await settle();
    other.answer('x');
    for (const part of await Promise.all(asked)) expect(part.available).toBe(true);
    expect(cache.peek('a', '', 'tools')).toBeDefined();
  });

  it('holds the end of a session against no backend', async () => {
    const { get, source, cache } = setUp();
    const asked = get();
    source.fail(new GatewayError('SESSION_NOT_FOUND'));
    expect((await asked).available).toBe(false);
    expect(cache.known('a', '').parts.tools).toBeUndefined();
    void get();
    expect(source.loads).toBe(2);
  });

  it('counts generations by content: the same list again is the same generation', async () => {
    const { get, cache, changes } = setUp();
    const generations: number[] = [];
    const read = async (...names: string[]) => {
      cache.invalidate('a');
      await get('', async () => ({ entries: names.map((name) => ({ name })) }));
      const known: Catalog = cache.known('a', '');
      generations.push(known.generation);
    };
    expect(cache.known('a', '')).toEqual({ backend: 'a', generation: 0, parts: {} });
    await read('x');
    await read('x');
    await read('y');
    expect(generations).toEqual([1, 1, 2]);
    expect(changes).toHaveLength(1);
  });

  it('forgets a session, and the least recently used beyond its bounds', async () => {
    const { cache } = setUp({ maxCatalogs: 2 });
    const load = async () => ({ entries: [] });
    for (const scope of ['1', '2', '3']) await cache.get('a', scope, 'tools', load);
    expect(['1', '2', '3'].map((scope) => cache.peek('a', scope, 'tools') !== undefined)).toEqual([false, true, true]);
    cache.forget('a', '3');
    expect(cache.peek('a', '3', 'tools')).toBeUndefined();
  });

  it('is bounded by bytes as well', async () => {
    const { cache } = setUp({ maxBytes: 10_000 });
    for (const scope of ['1', '2', '3']) {
      await cache.get('a', scope, 'tools', async () => ({ entries: [{ name: scope.repeat(4000) }] }));
    }
    expect(['1', '2', '3'].map((scope) => cache.peek('a', scope, 'tools') !== undefined)).toEqual([false, true, true]);
  });

  it('counts a backend that sends what cannot be kept as failed', async () => {
    const { get } = setUp();
    const circular: Record<string, unknown> = { name: 'x' };
    circular.self = circular;
    expect((await get('', async () => ({ entries: [circular] }))).available).toBe(false);
  });
});
