import type { BackendInfo } from '../../../src/backends/backend.js';
import { mergeCapabilities, mergeInstructions } from '../../../src/servers/merge-info.js';

const info = (capabilities: Record<string, unknown>, instructions?: string): BackendInfo => ({
  protocolVersion: '2025-11-25',
  capabilities,
  ...(instructions === undefined ? {} : { instructions }),
});

describe('mergeCapabilities', () => {
  it('is the union, with listChanged always true, without what nothing relays', () => {
    const merged = mergeCapabilities([
      info({ tools: {}, experimental: { x: {} }, tasks: {} }),
      info({ resources: { subscribe: true }, logging: {} }),
    ]);
    expect(merged).toEqual({ tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} });
  });

  it('takes a backend that was never seen for one that offers everything', () => {
    expect(mergeCapabilities([info({ tools: {} }), undefined])).toEqual({
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      prompts: { listChanged: true },
      completions: {},
      logging: {},
    });
  });

  it('does not offer subscriptions that no backend has, and nothing without backends', () => {
    expect(mergeCapabilities([info({ resources: {} })])).toEqual({ resources: { listChanged: true } });
    expect(mergeCapabilities([])).toEqual({});
  });
});

describe('mergeInstructions', () => {
  it('passes those of an only backend on as they are', () => {
    expect(mergeInstructions([{ backend: 'a', info: info({}, ' Be kind.\n') }])).toBe(' Be kind.\n');
  });

  it('names the backend of each when there are several', () => {
    expect(
      mergeInstructions([
        { backend: 'a', info: info({}, 'One.\n') },
        { backend: 'b', info: undefined },
        { backend: 'c', info: info({}, 'Three.') },
      ]),
    ).toBe('## a\n\nOne.\n\n## c\n\nThree.');
  });

  it('is undefined where none gave any', () => {
    expect(
      mergeInstructions([
        { backend: 'a', info: info({}) },
        { backend: 'b', info: info({}, ' ') },
      ]),
    ).toBeUndefined();
  });
});
