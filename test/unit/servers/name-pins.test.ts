import { Exposer } from '../../../src/servers/exposer.js';
import { NamePins } from '../../../src/servers/name-pins.js';
import { catalogMaker, server, tools } from './catalogs.js';

describe('NamePins', () => {
  const make = catalogMaker();
  const exposer = new Exposer();
  const selection = server(['a', 'b']);
  const expose = (ofA: string[], ofB: string[], prefix: 'auto' | 'never' = 'auto') =>
    exposer.expose(prefix === 'auto' ? selection : server(['a', 'b'], { prefix }), [
      make('a', tools(...ofA)),
      make('b', tools(...ofB)),
    ]);

  it('resolves what is exposed, and nothing else', () => {
    const pins = new NamePins();
    expect(pins.findTool(expose(['x'], ['y']), 'y')).toMatchObject({ backend: 'b', name: 'y' });
    expect(pins.findTool(expose(['x'], ['y']), 'z')).toBeUndefined();
  });

  it('keeps an old name for its tool when a collision renames it', () => {
    const pins = new NamePins();
    pins.see(expose([], ['x']), 'tools');
    const collided = expose(['x'], ['x']);
    expect(pins.findTool(collided, 'x')).toMatchObject({ backend: 'b', name: 'x', exposedAs: 'b__x' });
    expect(pins.findTool(collided, 'a__x')).toMatchObject({ backend: 'a', name: 'x' });
    expect(new NamePins().findTool(collided, 'x')).toBeUndefined();
  });

  it('never gives a name to another backend, even after its tool is gone', () => {
    const pins = new NamePins();
    expect(pins.findTool(expose([], ['x']), 'x')?.backend).toBe('b');
    expect(pins.findTool(expose(['x'], []), 'x')).toBeUndefined();
    expect(pins.findTool(expose(['x'], ['x']), 'x')?.backend).toBe('b');
    expect(new NamePins().findTool(expose(['x'], []), 'x')?.backend).toBe('a');
  });

  it('remembers a meaning through times in which the name was not exposed at all', () => {
    const pins = new NamePins();
    pins.see(expose([], ['x']), 'tools');
    pins.see(expose([], []), 'tools');
    expect(pins.findTool(expose(['x'], []), 'x')).toBeUndefined();
    expect(pins.findTool(expose([], ['x']), 'x')?.backend).toBe('b');
  });

  it('holds with prefix never, where the first backend would take the name over', () => {
    const pins = new NamePins();
    pins.see(expose([], ['x'], 'never'), 'tools');
    expect(pins.findTool(expose(['x'], ['x'], 'never'), 'x')).toBeUndefined();
  });

  it('gives no meaning while a backend was not yet read: the name may turn out to collide', () => {
    const pins = new NamePins();
    const half = exposer.expose(selection, [{ backend: 'a', generation: 0, parts: {} }, make('b', tools('x'))]);
    expect(pins.findTool(half, 'x')).toBeUndefined();
    pins.see(half, 'tools');
    expect(pins.findTool(expose(['x'], []), 'x')?.backend).toBe('a');
  });

  it('keeps tools and prompts apart', () => {
    const pins = new NamePins();
    const exposure = exposer.expose(selection, [
      make('a', { ...tools('x'), prompts: [] }),
      make('b', { tools: [], prompts: [{ name: 'x' }] }),
    ]);
    expect(pins.findTool(exposure, 'x')?.backend).toBe('a');
    expect(pins.findPrompt(exposure, 'x')?.backend).toBe('b');
  });

  describe('at the next owner', () => {
    it('a name means what it meant, whatever the catalogs are like by then', () => {
      const pins = new NamePins();
      pins.see(expose([], ['x', 'y']), 'tools');
      const next = new NamePins(pins.toSaved());
      const collided = expose(['x'], ['x', 'y']);
      expect(next.findTool(collided, 'x')).toMatchObject({ backend: 'b', name: 'x' });
      expect(next.findTool(collided, 'y')).toMatchObject({ backend: 'b', name: 'y' });
      expect(next.findTool(expose(['x'], ['y']), 'x')).toBeUndefined();
    });

    it('what had changed its meaning before stays pinned, through any number of owners', () => {
      const pins = new NamePins();
      pins.see(expose([], ['x']), 'tools');
      pins.see(expose(['x'], ['x']), 'tools');
      const third = new NamePins(new NamePins(pins.toSaved()).toSaved());
      expect(third.findTool(expose(['x'], []), 'x')).toBeUndefined();
      expect(third.findTool(expose([], ['x']), 'b__x')).toMatchObject({ backend: 'b', name: 'x' });
      expect(third.findTool(expose(['x'], ['x']), 'a__x')).toMatchObject({ backend: 'a', name: 'x' });
    });

    it('nothing is saved of what was not seen, or of too much; text that is none is ignored', () => {
      expect(new NamePins().toSaved()).toEqual({});
      const pins = new NamePins();
      pins.see(
        expose(
          [],
          Array.from({ length: 7000 }, (_, i) => `tool-${i}`),
        ),
        'tools',
      );
      expect(pins.toSaved()).toEqual({});
      expect(new NamePins({ tools: '{' }).findTool(expose(['x'], []), 'x')?.backend).toBe('a');
    });

    it('there is something to save only when other names were seen', () => {
      const pins = new NamePins();
      const first = expose(['x'], []);
      expect(pins.version).toBe(0);
      pins.findTool(first, 'x');
      pins.see(first, 'tools');
      expect(pins.version).toBe(1);
      pins.see(expose(['x', 'z'], []), 'tools');
      expect(pins.version).toBe(2);
    });
  });
});
