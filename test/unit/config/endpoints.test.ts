import { listEndpointUrls } from '../../../src/config/endpoints.js';
import { configSchema } from '../../../src/config/schema.js';

const http = { type: 'http', url: 'http://127.0.0.1:1/mcp' };
const parse = (config: object) => configSchema.parse(config);

describe('the URLs told at the start', () => {
  it('name all backends, virtual servers and single backends once each', () => {
    const config = parse({ mcpServers: { one: http, two: http }, servers: { both: { backends: ['one', 'two'] } } });
    expect(listEndpointUrls(config, 8080)).toEqual([
      'http://127.0.0.1:8080/mcp',
      'http://127.0.0.1:8080/servers/both/mcp',
      'http://127.0.0.1:8080/servers/one/mcp',
      'http://127.0.0.1:8080/servers/two/mcp',
    ]);
  });

  it('leave out what is not exposed', () => {
    const config = parse({
      mcpServers: { one: http },
      servers: { s: { backends: ['one'] } },
      expose: { all: false, backends: false },
    });
    expect(listEndpointUrls(config, 8080)).toEqual(['http://127.0.0.1:8080/servers/s/mcp']);
  });

  it('use publicUrl where there is one, else an address that can be connected to, with the port in use', () => {
    expect(listEndpointUrls(parse({ publicUrl: 'https://mcp.example/gate/' }), 8080)).toEqual(['https://mcp.example/gate/mcp']);
    expect(listEndpointUrls(parse({ listen: '0.0.0.0:0' }), 4711)).toEqual(['http://127.0.0.1:4711/mcp']);
    expect(listEndpointUrls(parse({ listen: '[::1]:0' }), 4711)).toEqual(['http://[::1]:4711/mcp']);
  });
});
