import { Exposer } from '../../../src/servers/exposer.js';
import { catalogMaker, server, tool, tools } from './catalogs.js';

const listed = (
  exposure: ReturnType<Exposer['expose']>,
  kind: 'tools' | 'prompts' | 'resources' | 'resourceTemplates' = 'tools',
) => {
  const page = exposure.listJson(kind, undefined, 1000);
  return page.kind === 'page' ? (JSON.parse(page.json)[kind] as Array<Record<string, string>>) : [];
};

describe('exposed tools', () => {
  it('are listed by backend, then as the backend lists them, with every field kept', () => {
    const make = catalogMaker();
    const odd = tool('x', { title: 'X', outputSchema: { $defs: { a: { $anchor: 'b' } } }, _meta: { 'io.x/y': 1 } });
    const exposure = new Exposer().expose(server(['b', 'a']), [
      make('b', { tools: [odd, tool('z')] }),
      make('a', tools('y', 'z')),
    ]);
    expect(listed(exposure)).toEqual([odd, tool('b__z'), tool('y'), tool('a__z')]);
    expect(Object.keys(listed(exposure)[1] as object)).toEqual(['name', 'inputSchema']);
    expect(exposure.findTool('a__z')).toEqual({ backend: 'a', name: 'z', exposedAs: 'a__z', available: true });
    expect(exposure.findTool('z')).toBeUndefined();
  });

  it('of a dead backend are hidden but keep their names and their meaning', () => {
    const make = catalogMaker();
    const exposure = new Exposer().expose(server(['a', 'b']), [make('a', tools('x'), false), make('b', tools('x', 'y'))]);
    expect(listed(exposure).map(({ name }) => name)).toEqual(['b__x', 'y']);
    expect(exposure.findTool('a__x')).toMatchObject({ backend: 'a', name: 'x', available: false });
  });

  it('that are excluded can neither be listed nor called, and collide with nothing', () => {
    const make = catalogMaker();
    const selection = server(['a', 'b'], { tools: { include: ['*'], exclude: ['a__x', 'secret'] } });
    const exposure = new Exposer().expose(selection, [make('a', tools('x', 'secret')), make('b', tools('x', 'secret'))]);
    expect(listed(exposure).map(({ name }) => name)).toEqual(['x']);
    expect(exposure.findTool('x')?.backend).toBe('b');
    for (const name of ['a__x', 'b__x', 'secret', 'a__secret', 'b__secret', '__proto__', 'constructor'])
      expect(exposure.findTool(name)).toBeUndefined();
  });

  it('filter tools only', () => {
    const make = catalogMaker();
    const selection = server(['a'], { tools: { include: [], exclude: [] } });
    const exposure = new Exposer().expose(selection, [make('a', { ...tools('x'), prompts: [{ name: 'p' }] })]);
    expect(listed(exposure)).toEqual([]);
    expect(listed(exposure, 'prompts')).toEqual([{ name: 'p' }]);
  });

  it('of the first backend win with prefix never, also while it is away', () => {
    const make = catalogMaker();
    const warned: string[] = [];
    const exposer = new Exposer({ warn: (id, message) => warned.push(`${id}: ${message}`) });
    const exposure = exposer.expose(server(['a', 'b'], { prefix: 'never' }), [
      make('a', tools('x'), false),
      make('b', tools('x', 'y')),
    ]);
    expect(listed(exposure).map(({ name }) => name)).toEqual(['y']);
    expect(exposure.findTool('x')?.backend).toBe('a');
    expect(warned).toEqual(['vs: tools: "x" of backend "b" is hidden by that of "a" (prefix: never)']);
  });
});

describe('the memo', () => {
  it('gives the same exposure and the same text for the same generations', () => {
    const make = catalogMaker();
    const exposer = new Exposer();
    const selection = server(['a']);
    const catalog = make('a', tools('x'));
    const exposure = exposer.expose(selection, [catalog]);
    expect(exposer.expose(selection, [catalog])).toBe(exposure);
    expect(exposure.listJson('tools', undefined, 10)).toBe(exposure.listJson('tools', undefined, 10));
  });

  it('merges equal content once, also across scopes', () => {
    const make = catalogMaker();
    const exposer = new Exposer();
    const selection = server(['a']);
    const first = exposer.expose(selection, [make('a', tools('x'))]);
    const second = exposer.expose(selection, [make('a', tools('x'))]);
    expect(second).not.toBe(first);
    expect(second.tools).toBe(first.tools);
    expect(exposer.expose(selection, [make('a', tools('x'), false)]).tools).not.toBe(first.tools);
  });

  it('does not outlive a reload: another server object of the same id selects anew', () => {
    const make = catalogMaker();
    const exposer = new Exposer();
    const catalog = make('a', tools('x'));
    expect(exposer.expose(server(['a']), [catalog]).findTool('x')).toBeDefined();
    expect(exposer.expose(server(['a'], { tools: { include: ['*'], exclude: ['x'] } }), [catalog]).findTool('x')).toBeUndefined();
  });
});

describe('resources', () => {
  const make = catalogMaker();
  const a = make('a', {
    resources: [{ uri: 'f://1', name: 'a1' }],
    resourceTemplates: [{ uriTemplate: 'f://{id}', name: 'ta' }],
  });
  const b = make('b', {
    resources: [
      { uri: 'f://1', name: 'b1' },
      { uri: 'f://2', name: 'b2' },
    ],
    resourceTemplates: [
      { uriTemplate: 'f://{+path}', name: 'tb' },
      { uriTemplate: 'f://{id}', name: 'tb2' },
    ],
  });
  const exposure = new Exposer().expose(server(['a', 'b']), [a, b]);

  it('are listed once per uri: the first backend wins', () => {
    expect(listed(exposure, 'resources').map(({ name }) => name)).toEqual(['a1', 'b2']);
    expect(listed(exposure, 'resourceTemplates').map(({ name }) => name)).toEqual(['ta', 'tb']);
  });

  it('are found exactly first, then by template in order', () => {
    expect(exposure.findResource('f://1')).toEqual([{ backend: 'a', available: true, by: 'exact' }]);
    expect(exposure.findResource('f://2')).toEqual([{ backend: 'b', available: true, by: 'exact' }]);
    expect(exposure.findResource('f://3').map(({ backend, by }) => [backend, by])).toEqual([
      ['a', 'template'],
      ['b', 'template'],
    ]);
    expect(exposure.findResource('f://x/y').map(({ backend }) => backend)).toEqual(['b']);
    expect(exposure.findResource('g://x')).toEqual([]);
  });

  it('of an only backend need not be listed', () => {
    const alone = new Exposer().expose(server(['a']), [a]);
    expect(alone.findResource('g://linked-in-a-result')).toEqual([{ backend: 'a', available: true, by: 'only' }]);
  });
});

describe('completion', () => {
  const make = catalogMaker();
  const exposure = new Exposer().expose(server(['a', 'b']), [
    make('a', { prompts: [{ name: 'p' }, { name: 'own' }], resources: [], resourceTemplates: [{ uriTemplate: 't://{x}' }] }),
    make('b', { prompts: [{ name: 'p' }], resources: [{ uri: 'r://1' }], resourceTemplates: [] }),
  ]);

  it.each([
    [
      { type: 'ref/prompt', name: 'b__p', title: 'T' },
      { backend: 'b', ref: { type: 'ref/prompt', name: 'p', title: 'T' }, changed: true },
    ],
    [
      { type: 'ref/prompt', name: 'own' },
      { backend: 'a', ref: { type: 'ref/prompt', name: 'own' }, changed: false },
    ],
    [
      { type: 'ref/resource', uri: 't://{x}' },
      { backend: 'a', ref: { type: 'ref/resource', uri: 't://{x}' }, changed: false },
    ],
    [
      { type: 'ref/resource', uri: 't://1' },
      { backend: 'a', ref: { type: 'ref/resource', uri: 't://1' }, changed: false },
    ],
    [
      { type: 'ref/resource', uri: 'r://1' },
      { backend: 'b', ref: { type: 'ref/resource', uri: 'r://1' }, changed: false },
    ],
    [{ type: 'ref/prompt', name: 'p' }, undefined],
    [{ type: 'ref/resource', uri: 'x://1' }, undefined],
    [{ type: 'ref/other', name: 'own' }, undefined],
    [null, undefined],
  ])('%j', (ref, expected) => {
    expect(exposure.findCompletion(ref)).toEqual(expected);
  });

  it('refers to nobody while a backend was not yet read', () => {
    const half = new Exposer().expose(server(['a', 'b']), [
      { backend: 'a', generation: 0, parts: {} },
      make('b', { prompts: [{ name: 'p' }] }),
    ]);
    expect(half.findCompletion({ type: 'ref/prompt', name: 'p' })).toBeUndefined();
  });
});
