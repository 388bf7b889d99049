// HOST:PORT as written in the configuration.
import { isIP, isIPv4, isIPv6 } from 'node:net';

export interface Address {
  /** Without brackets, as node:net takes it. */
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:8080`, `localhost:8080`, `[::1]:8080`; undefined if it is not HOST:PORT with a port from 0 to 65535. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]/]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  if (port > 65_535 || (match[1] !== undefined && !isIPv6(match[1]))) return undefined;
  return { host: (match[1] ?? match[2]) as string, port };
}

/**
 * The address of an option that the schema has accepted.
 * @throws Error if it was not: a mistake in the code, not in the configuration
 */
export function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (!address) throw new Error(`not HOST:PORT: ${text}`);
  return address;
}

/** Host and port back to text, with brackets where they are needed. */
export const formatAddress = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Whether only this machine can reach a listener on that host. Other names than localhost may resolve to anything: no. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (isIPv4(bare)) return bare.startsWith('127.');
  return bare === 'localhost' || bare === '::1' || bare === '0:0:0:0:0:0:0:1' || /^::ffff:127\./.test(bare);
}

/** Whether a listener on that host takes every address of the machine. */
export const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

/** An IP address or a range such as `10.0.0.0/8`. */
export function isAddressRange(text: string): boolean {
  const [ip = '', bits, ...rest] = text.split('/');
  const family = isIP(ip);
  if (!family || rest.length) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
