// DNS rebinding: what a Host and an Origin may say.
import { makeHostGuard } from '../../../src/edge/host-guard.js';

const none = { hosts: [], origins: [] };

describe('Host', () => {
  it.each(['localhost', 'LOCALHOST:8080', '127.0.0.1:1', '127.1.2.3', '[::1]:8080', '[::1]'])(
    'a loopback listener allows %s on any port',
    (host) => {
      for (const listen of ['127.0.0.1:8080', 'localhost:8080', '[::1]:8080']) {
        expect(makeHostGuard(none, listen).isHostAllowed(host)).toBe(true);
      }
    },
  );

  it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'xlocalhost', '[::2]:8080', '', undefined])(
    'a loopback listener refuses %s',
    (host) => {
      expect(makeHostGuard(none, '127.0.0.1:8080').isHostAllowed(host)).toBe(false);
    },
  );

  it('a public listener allows the host of publicUrl on any port, and not loopback names', () => {
    const guard = makeHostGuard({ ...none, publicUrl: 'https://MCP.example.com/path' }, '0.0.0.0:8080');
    expect(guard.isHostAllowed('mcp.example.com')).toBe(true);
    expect(guard.isHostAllowed('mcp.EXAMPLE.com:8443')).toBe(true);
    expect(guard.isHostAllowed('example.com')).toBe(false);
    expect(guard.isHostAllowed('localhost')).toBe(false);
    expect(guard.isHostAllowed(undefined)).toBe(false);
  });

  it('knows an IPv6 publicUrl', () => {
    const guard = makeHostGuard({ ...none, publicUrl: 'http://[2001:db8::1]:8080' }, '0.0.0.0:8080');
    expect(guard.isHostAllowed('[2001:db8::1]:8080')).toBe(true);
    expect(guard.isHostAllowed('[2001:db8::2]:8080')).toBe(false);
  });

  it('allows what hosts names, with or without a port', () => {
    const guard = makeHostGuard({ ...none, hosts: ['Gateway.internal', 'other:9000'] }, '0.0.0.0:8080');
    expect(guard.isHostAllowed('gateway.internal:8080')).toBe(true);
    expect(guard.isHostAllowed('other')).toBe(true);
    expect(guard.isHostAllowed('third')).toBe(false);
  });

  it('allows everything where hosts says "*"', () => {
    const guard = makeHostGuard({ ...none, hosts: ['*'] }, '0.0.0.0:8080');
    expect(guard.isHostAllowed('evil.example')).toBe(true);
    expect(guard.isHostAllowed(undefined)).toBe(true);
  });
});

describe('Origin', () => {
  const guard = makeHostGuard(
    { hosts: ['*'], origins: ['https://App.example', 'chrome-extension://abcdef'], publicUrl: 'https://mcp.example.com:8443/x' },
    '0.0.0.0:8080',
  );

  it.each([
    undefined,
    'https://app.example',
    'https://APP.example',
    'https://mcp.example.com:8443',
    'chrome-extension://abcdef',
    'http://localhost:5173',
    'http://127.0.0.1',
    'http://[::1]:3000',
  ])('%s is allowed', (origin) => {
    expect(guard.isOriginAllowed(origin)).toBe(true);
  });

  it.each([
    'null',
    '',
    'https://evil.example',
    'http://app.example',
    'https://app.example:444',
    'https://mcp.example.com',
    'https://localhost.evil.example',
    'chrome-extension://another',
    'file://',
    'https://app.example, https://evil.example',
  ])('%s is refused', (origin) => {
    expect(guard.isOriginAllowed(origin)).toBe(false);
  });
});
