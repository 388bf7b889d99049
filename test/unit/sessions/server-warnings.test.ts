// What is odd about a virtual server: told when it is known, once, and not told where it may be otherwise.
import { CatalogCache } from '../../../src/backends/catalog-cache.js';
import { Exposer } from '../../../src/servers/exposer.js';
import type { VirtualServer } from '../../../src/servers/virtual-server.js';
import { ServerWarnings } from '../../../src/sessions/server-warnings.js';
import { FakeClock } from '../../support/fake-clock.js';
import { server, tools } from '../servers/catalogs.js';

function setUp({ personal = [] as string[] } = {}) {
  const logged: unknown[] = [];
  const cache = new CatalogCache(new FakeClock());
  const exposer = new Exposer();
  const isPersonal = (name: string) => personal.includes(name);
  const warnings = new ServerWarnings({
    ...{ cache, exposer, isPersonal },
    warn: (message, { server: id }) => void logged.push(`${id}: ${message}`),
  });
  /** A backend is read, by clients that share this scope. */
  const read = async (backend: string, names: string[], { scope = '', isCut = false } = {}) => {
    cache.invalidate(backend);
    await cache.get(backend, scope, 'tools', async () => ({ entries: tools(...names).tools, ...(isCut ? { isCut } : {}) }));
  };
  /** A session lists. */
  const list = (selected: VirtualServer, scope = '') => {
    const catalogs = selected.backends.map((backend) => cache.known(backend, scope));
    warnings.note(selected, exposer.expose(selected, catalogs).tools);
  };
  const textsOf = (selected: VirtualServer) => warnings.list(selected)?.map(({ text }) => text);
  return { cache, list, logged, read, textsOf, warnings };
}

const filtered = (exclude: string[], backends = ['a', 'b']) => server(backends, { tools: { include: ['*'], exclude } });
const TYPO = 'tools.exclude: "tpyo" matches no tool; did you mean "typo"?';

it('is told once all backends were read: once for all sessions, and again for a configuration that changed', async () => {
  const { list, logged, read, textsOf } = setUp();
  const selected = filtered(['tpyo']);
  await read('a', ['typo']);
  list(selected);
  expect([logged, textsOf(selected)]).toEqual([[], undefined]);
  await read('b', ['y']);
  for (let session = 0; session < 3; session++) list(selected);
  await read('b', ['y', 'z']);
  list(selected);
  expect(logged).toEqual([`vs: ${TYPO}`]);
  expect(textsOf(selected)).toEqual([TYPO]);
  const reloaded = filtered(['tpyo', 'x']);
  list(reloaded);
  expect(logged.slice(1)).toEqual([`vs: ${TYPO}`, 'vs: tools.exclude: "x" matches no tool; did you mean "y"?']);
});

it('goes when a tool comes that matches', async () => {
  const { read, textsOf } = setUp();
  const selected = filtered(['late'], ['a']);
  await read('a', ['early']);
  expect(textsOf(selected)).toHaveLength(1);
  await read('a', ['early', 'late']);
  expect(textsOf(selected)).toEqual([]);
});

it('is not told of what other clients are shown, of a list that was cut, of one that cannot be read, or where callers see others', async () => {
  const { cache, list, logged, read, textsOf } = setUp();
  const selected = filtered(['ask'], ['a']);
  await read('a', ['x', 'ask'], { scope: ':sampling' });
  await read('a', ['x']);
  list(selected);
  expect([logged, textsOf(selected)]).toEqual([[], []]);

  const cut = filtered(['beyond'], ['c']);
  await read('c', ['x'], { isCut: true });
  list(cut);
  expect([logged, textsOf(cut)]).toEqual([[], []]);

  const dead = filtered(['beyond'], ['d']);
  await cache.get('d', '', 'tools', () => Promise.reject(new Error('down')));
  list(dead);
  expect([logged, textsOf(dead)]).toEqual([[], undefined]);

  const other = setUp({ personal: ['p'] });
  const personal = filtered(['beyond'], ['p']);
  await other.read('p', ['x'], { scope: 'session-1' });
  other.list(personal, 'session-1');
  expect([other.logged, other.textsOf(personal)]).toEqual([[], undefined]);
});

it('holds while a backend is down: it is known what it offers', async () => {
  const { cache, read, textsOf } = setUp();
  const selected = filtered(['tpyo'], ['a']);
  await read('a', ['typo']);
  cache.hide('a', 'refused');
  expect(textsOf(selected)).toEqual([TYPO]);
});

it('tells of tools that are hidden behind others, and ends at twenty', async () => {
  const { read, textsOf, warnings } = setUp();
  await read('a', ['x']);
  await read('b', ['x']);
  const selected = server(['a', 'b'], { prefix: 'never' });
  expect(textsOf(selected)).toEqual(['tools: "x" of backend "b" is hidden by that of "a" (prefix: never)']);
  expect(warnings.countTools(selected)).toBe(1);
  const many = textsOf(filtered(Array.from({ length: 30 }, (_, i) => `no-such-tool-${i}`)));
  expect(many).toHaveLength(21);
  expect(many?.at(-1)).toBe('and 10 more');
});
