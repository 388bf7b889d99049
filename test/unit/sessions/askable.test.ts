import { askableCapabilities, listScopeOf } from '../../../src/sessions/askable.js';

test('backends are told of what the client can be asked, and of nothing else', () => {
  expect(askableCapabilities({ sampling: { tools: {} }, roots: true, tasks: {}, elicitation: {} })).toEqual({
    sampling: { tools: {} },
    elicitation: {},
  });
  for (const odd of [undefined, null, 7, 'sampling', []]) expect(askableCapabilities(odd)).toEqual({});
});

test('lists are shared among clients that can be asked the same, in few scopes whatever they declare', () => {
  expect(listScopeOf({})).toBe('');
  expect(listScopeOf({ experimental: { sampling: {} } })).toBe('');
  expect(listScopeOf({ roots: { listChanged: true }, sampling: {} })).toBe(':sampling+roots+roots.listChanged');
  expect(listScopeOf({ sampling: { x: 1 }, roots: { listChanged: false } })).toBe(':sampling+roots');
  expect(listScopeOf({ elicitation: { url: {}, more: {} } })).toBe(':elicitation+elicitation.url');
});
