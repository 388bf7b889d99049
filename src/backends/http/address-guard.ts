// Which addresses a backend's name may lead to. Checked on the addresses that are really dialled, at every connect: a name that
// passed yesterday may lead to the metadata service today.
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';

/** A name led to an address that only a URL which names it may reach. */
export class AddressRefused extends Error {
  readonly code = 'BERTH_ADDRESS_REFUSED';
  constructor() {
    super('the name of the backend leads to a loopback, link-local or metadata address');
    this.name = 'AddressRefused';
  }
}

function makeList(subnets: ReadonlyArray<readonly [string, number]>): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of subnets) list.addSubnet(net, prefix, net.includes(':') ? 'ipv6' : 'ipv4');
  return list;
}

/** Link-local, and the metadata services of the clouds, also behind NAT64 and 6to4 prefixes. BlockList maps ::ffff:0:0/96 itself. */
const NEVER_BY_NAME = makeList([
  ['169.254.0.0', 16],
  ['fe80::', 10],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  ['64:ff9b::a9fe:0', 112],
  ['2002:a9fe::', 32],
  ['0.0.0.0', 8],
  ['::', 128],
]);
const LOOPBACK = makeList([
  ['127.0.0.0', 8],
  ['::1', 128],
  ['64:ff9b::7f00:0', 104],
  ['2002:7f00::', 24],
]);

/** Whether a name may not lead there; `localhost` may lead to loopback. */
export function isRefusedAddress(address: string, allowLoopback: boolean): boolean {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const bare = address.replace(/%.*$/, '');
  return NEVER_BY_NAME.check(bare, family) || (!allowLoopback && LOOPBACK.check(bare, family));
}

/**
 * A connector for one backend. A literal address in the URL is named by the configuration and therefore free; names are resolved
 * and refused if any of their addresses is: one good address beside a bad one is how rebinding looks.
 * @param lookup resolver, default the system's
 */
export function makeConnector(url: URL, connectTimeoutMs: number, lookup?: LookupFunction): buildConnector.connector {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0) return buildConnector({ timeout: connectTimeoutMs });
  const allowLoopback = host === 'localhost' || host.endsWith('.localhost');
  const resolve = lookup ?? (systemLookup as LookupFunction);
  const guarded: LookupFunction = (name, options, callback) => {
    resolve(name, { ...options, all: true }, (error, found, family) => {
      if (error) return callback(error, '', 0);
      const addresses: LookupAddress[] = Array.isArray(found) ? found : [{ address: found, family: family ?? isIP(found) }];
      if (addresses.some((a) => isRefusedAddress(a.address, allowLoopback))) return callback(new AddressRefused(), '', 0);
      if (options.all) return callback(null, addresses);
      const first = addresses[0];
      return first
        ? callback(null, first.address, first.family)
        : callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '', 0);
    });
  };
  return buildConnector({ timeout: connectTimeoutMs, lookup: guarded } as buildConnector.BuildOptions);
}
