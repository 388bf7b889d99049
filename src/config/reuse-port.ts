// Whether several sockets can listen on one port here, each with connections of its own.

/** Of Node, in which `listen` knows the option: by major version the first minor one; later majors all do. */
const SINCE: ReadonlyMap<number, number> = new Map([
  [22, 12],
  [23, 1],
]);
/** Elsewhere the system has no such option, or one that gives all connections to the last who listens. */
const PLATFORMS: readonly NodeJS.Platform[] = ['linux', 'freebsd', 'sunos', 'aix'];

/** @returns why it cannot be done here; undefined: it can */
export function reusePortObstacle(version = process.versions.node, platform = process.platform): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (!PLATFORMS.includes(platform)) return `${platform} does not share a port between listeners`;
  const since = SINCE.get(major);
  if (major > 23 || (since !== undefined && minor >= since)) return undefined;
  return `Node ${version} cannot share a port between listeners (22.12, 23.1 and later can)`;
}
