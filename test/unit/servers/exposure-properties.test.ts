// What must hold for any backends, filters and collisions (S24, S78, I4).
import fc from 'fast-check';
import type { Catalog } from '../../../src/backends/catalog.js';
import { Exposer } from '../../../src/servers/exposer.js';
import type { Exposure } from '../../../src/servers/exposure.js';
import { allowsTool } from '../../../src/servers/tool-filter.js';
import type { VirtualServer } from '../../../src/servers/virtual-server.js';
import { catalogMaker, server, tools } from './catalogs.js';

const toolNames = fc.constantFrom('x', 'y', 'a__x', 'b__x', 'c__a__x', 'a__b__x', 'get-env', 'x'.repeat(130));
const lists = fc.uniqueArray(toolNames, { maxLength: 8 });
const patterns = fc.uniqueArray(fc.constantFrom('*', 'x', '?', 'a__*', '*x', 'b__x', 'get-*', 'c__*'), { maxLength: 3 });

interface World {
  readonly server: VirtualServer;
  readonly catalogs: readonly Catalog[];
}

const worlds: fc.Arbitrary<World> = fc
  .record({
    backends: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'a__b'), { minLength: 1 }),
    names: fc.array(lists, { minLength: 4, maxLength: 4 }),
    available: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    include: fc.oneof(fc.constant(['*']), patterns),
    exclude: patterns,
    prefix: fc.constantFrom('auto' as const, 'always' as const, 'never' as const),
  })
  .map(({ backends, names, available, include, exclude, prefix }) => {
    const make = catalogMaker();
    return {
      server: server(backends, { tools: { include, exclude }, prefix }),
      catalogs: backends.map((backend, index) => make(backend, tools(...(names[index] ?? [])), available[index])),
    };
  });

function readAll(exposure: Exposure, pageSize: number): string[] {
  const names: string[] = [];
  let cursor: string | undefined;
  do {
    const page = exposure.listJson('tools', cursor, pageSize);
    if (page.kind !== 'page') throw new Error(`bad cursor ${cursor}`);
    const result = JSON.parse(page.json) as { tools: Array<{ name: string }>; nextCursor?: string };
    if (result.tools.length > pageSize) throw new Error('page too long');
    names.push(...result.tools.map(({ name }) => name));
    cursor = result.nextCursor;
  } while (cursor !== undefined);
  return names;
}

describe('for any backends, filters and collisions', () => {
  it('listed names are unique and every worker lists the same bytes', () => {
    fc.assert(
      fc.property(worlds, ({ server: selection, catalogs }) => {
        const here = new Exposer().expose(selection, catalogs);
        const there = new Exposer().expose({ ...selection }, structuredClone(catalogs));
        const names = readAll(here, 1000);
        expect(new Set(names).size).toBe(names.length);
        expect(there.listJson('tools', undefined, 1000)).toEqual(here.listJson('tools', undefined, 1000));
      }),
    );
  });

  it('every listed tool is callable, and every callable tool is listed or of a backend that is away', () => {
    fc.assert(
      fc.property(worlds, ({ server: selection, catalogs }) => {
        const exposure = new Exposer().expose(selection, catalogs);
        const names = new Set(readAll(exposure, 1000));
        for (const name of names) expect(exposure.findTool(name)).toMatchObject({ exposedAs: name, available: true });
        for (const [name, exposed] of exposure.tools.byName) {
          const isUp = catalogs.find(({ backend }) => backend === exposed.backend)?.parts.tools?.available;
          expect(exposed.available).toBe(isUp);
          expect(names.has(name)).toBe(isUp);
        }
      }),
    );
  });

  it('what is excluded is never callable, under any name', () => {
    fc.assert(
      fc.property(worlds, ({ server: selection, catalogs }) => {
        const exposure = new Exposer().expose(selection, catalogs);
        for (const exposed of exposure.tools.byName.values()) expect(allowsTool(selection.tools, exposed)).toBe(true);
      }),
    );
  });

  it('all that is allowed is exposed (but for those that `never` hides)', () => {
    fc.assert(
      fc.property(worlds, ({ server: selection, catalogs }) => {
        const exposure = new Exposer().expose(selection, catalogs);
        for (const { backend, parts } of catalogs) {
          for (const { name } of parts.tools?.entries ?? []) {
            const own = { backend, name: name as string };
            if (!allowsTool(selection.tools, own)) expect(exposure.tools.findOwn(backend, own.name)).toBeUndefined();
            else if (selection.prefix !== 'never') expect(exposure.tools.findOwn(backend, own.name)).toMatchObject(own);
          }
        }
      }),
    );
  });

  it('a backend that goes away changes no name', () => {
    fc.assert(
      fc.property(worlds, fc.nat(3), ({ server: selection, catalogs }, index) => {
        const before = new Exposer().expose(selection, catalogs);
        const after = new Exposer().expose(
          selection,
          catalogs.map((catalog, at) => {
            const part = catalog.parts.tools;
            return at !== index || !part ? catalog : { ...catalog, parts: { tools: { ...part, available: false } } };
          }),
        );
        const meaning = (exposure: Exposure) =>
          [...exposure.tools.byName].map(([name, exposed]) => [name, exposed.backend, exposed.name]);
        expect(meaning(after)).toEqual(meaning(before));
      }),
    );
  });

  it('pages concatenate to the whole list in order', () => {
    fc.assert(
      fc.property(worlds, fc.integer({ min: 1, max: 5 }), ({ server: selection, catalogs }, pageSize) => {
        const exposure = new Exposer().expose(selection, catalogs);
        expect(readAll(exposure, pageSize)).toEqual(readAll(exposure, 1000));
      }),
    );
  });
});
