import { isRefusedAddress } from '../../../src/backends/http/address-guard.js';

describe('addresses that a name may not lead to', () => {
  test.each([
    '169.254.0.1',
    '169.254.169.254',
    '::ffff:169.254.169.254',
    'fe80::1',
    'fe80::1%eth0',
    'fd00:ec2::254',
    'fd20:ce::254',
    '100.100.100.200',
    '168.63.129.16',
    '0.0.0.0',
    '::',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
  ])('%s never', (address) => {
    expect(isRefusedAddress(address, false)).toBe(true);
    expect(isRefusedAddress(address, true)).toBe(true);
  });

  test.each(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])('%s only as localhost', (address) => {
    expect(isRefusedAddress(address, false)).toBe(true);
    expect(isRefusedAddress(address, true)).toBe(false);
  });

  test.each(['10.1.2.3', '192.168.0.1', '172.16.0.1', 'fd12::1', '8.8.8.8', '2001:db8::1', '100.64.0.1'])(
    '%s freely',
    (address) => {
      expect(isRefusedAddress(address, false)).toBe(false);
    },
  );
});
