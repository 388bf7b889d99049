import type { Config } from '../../../src/config/schema.js';
import { makeServers } from '../../../src/servers/virtual-server.js';

const backend = {} as Config['mcpServers'][string];
const virtual = (backends: string[]) => ({ backends, tools: { include: ['*'], exclude: [] }, prefix: 'auto' as const });
const config = (more: Partial<Config>) =>
  ({ mcpServers: { b: backend, a: backend }, servers: {}, expose: { all: true, backends: true }, ...more }) as Config;

describe('makeServers', () => {
  it('serves all backends in the order of the configuration at the empty id', () => {
    expect(makeServers(config({})).find('')?.backends).toEqual(['b', 'a']);
  });

  it('serves a backend under its own name, unless a virtual server has that name', () => {
    const table = makeServers(config({ servers: { a: virtual(['b']) } }));
    expect(table.find('b')?.backends).toEqual(['b']);
    expect(table.find('a')?.backends).toEqual(['b']);
    expect(table.servers.map(({ id }) => id)).toEqual(['a', 'b', '']);
  });

  it('serves neither when they are not exposed', () => {
    const table = makeServers(config({ servers: { v: virtual(['a']) }, expose: { all: false, backends: false } }));
    expect(table.find('')).toBeUndefined();
    expect(table.find('a')).toBeUndefined();
    expect(table.find('v')?.backends).toEqual(['a']);
  });

  it.each(['unknown', '__proto__', 'constructor', 'A', 'a/'])('knows no server "%s"', (id) => {
    expect(makeServers(config({})).find(id)).toBeUndefined();
  });

  it('takes each backend once and leaves out those that are gone', () => {
    const table = makeServers(config({ servers: { v: virtual(['a', 'gone', 'b', 'a']) } }));
    expect(table.find('v')?.backends).toEqual(['a', 'b']);
  });

  it('filters a backend that limits its tools wherever it is served, and leaves others as they are', () => {
    const limited = { tools: { include: ['*'], exclude: ['rm'] } } as Config['mcpServers'][string];
    const unlimited = { tools: { include: ['*'], exclude: [] } } as unknown as Config['mcpServers'][string];
    const table = makeServers(config({ mcpServers: { b: unlimited, a: limited }, servers: { v: virtual(['a']) } }));
    for (const id of ['', 'a', 'v']) expect(table.find(id)?.tools.own).toEqual(new Map([['a', limited.tools]]));
    expect(table.find('b')?.tools).toEqual({ include: ['*'], exclude: [] });
  });
});
