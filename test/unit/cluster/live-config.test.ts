// What a reload leaves as it was stays the same object: what is memoised for it is good.
import { LiveConfig, makeSettings } from '../../../src/cluster/live-config.js';
import { configSchema } from '../../../src/config/schema.js';

const configOf = (names: string[], rest = {}) =>
  configSchema.parse({ mcpServers: Object.fromEntries(names.map((name) => [name, { url: `http://${name}.example` }])), ...rest });

it('keeps virtual servers that are as they were, and makes those anew that are not', () => {
  const live = new LiveConfig(configOf(['a', 'b'], { servers: { s: { backends: ['a'] } } }));
  const before = live.current;
  live.current = makeSettings(configOf(['a', 'b', 'c'], { servers: { s: { backends: ['a'] } } }), before);
  for (const id of ['s', 'a', 'b']) expect(live.servers.find(id)).toBe(before.servers.find(id));
  expect(live.servers.find('')).not.toBe(before.servers.find(''));
  expect(live.servers.find('c')?.backends).toEqual(['c']);
  expect(live.servers.servers.map(({ id }) => id)).toEqual(['s', 'a', 'b', 'c', '']);
});

it('makes a server anew when the tools of its backend have changed', () => {
  const withTools = (exclude: string[]) =>
    configSchema.parse({ mcpServers: { a: { url: 'http://a.example', tools: { exclude } } } });
  const live = new LiveConfig(withTools(['rm']));
  const before = live.current;
  live.current = makeSettings(withTools(['rm']), before);
  expect(live.servers.find('a')).toBe(before.servers.find('a'));
  live.current = makeSettings(withTools(['rm', 'mv']), before);
  expect(live.servers.find('a')).not.toBe(before.servers.find('a'));
});

it('asks the guard in force, whoever holds it', () => {
  const live = new LiveConfig(configOf([]));
  const { hostGuard } = live;
  expect(hostGuard.isHostAllowed('x.example')).toBe(false);
  live.current = makeSettings(configOf([], { hosts: ['x.example'], origins: ['https://o.example'] }), live.current);
  expect(hostGuard.isHostAllowed('x.example')).toBe(true);
  expect(hostGuard.isOriginAllowed('https://o.example')).toBe(true);
});
