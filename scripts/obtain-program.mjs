// Finds a program, or installs it with apt where it may. Plain Node: runs before any package is installed.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

function findOnPath(name) {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      if (directory && statSync(file).isFile()) return file;
    } catch {
      // Not here: look on.
    }
  }
  return undefined;
}

const findProgram = (names) => names.map(findOnPath).find(Boolean);

const POLICY = '/usr/sbin/policy-rc.d';

/** Installs with apt so that the package starts no service of its own: what we run is a child of ours on a socket of ours. */
function installWithApt(names) {
  if (process.getuid?.() !== 0 || !findOnPath('apt-get')) return undefined;
  process.stderr.write(`No ${names[0]} on PATH: installing the package with apt-get …\n`);
  // Whoever has a policy keeps it.
  const ownPolicy = !existsSync(POLICY);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  // To stderr, so that stdout holds the path alone.
  const apt = (...args) => spawnSync('apt-get', args, { stdio: ['ignore', 2, 2], env }).status === 0;
  try {
    if (ownPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    apt('update');
    for (const name of names) {
      if (!apt('install', '-y', '--no-install-recommends', name)) continue;
      disableService(name);
      const found = findProgram(names);
      if (found) return found;
    }
  } catch (error) {
    process.stderr.write(`apt-get: ${error instanceof Error ? error.message : String(error)}\n`);
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true });
  }
  return undefined;
}

/** The package was not there before, so neither was its service: it is ours to keep from starting at the next boot. */
function disableService(name) {
  if (existsSync('/run/systemd/system')) spawnSync('systemctl', ['disable', '--now', name], { stdio: 'ignore' });
  else if (findOnPath('update-rc.d')) spawnSync('update-rc.d', [name, 'disable'], { stdio: 'ignore' });
}

/**
 * The path of the first of these programs that is there, or could be installed; each is the name of its package, too.
 * @param help what to run where nothing can be installed
 * @throws Error with exitCode 69 and `help`
 */
export function obtainProgram(names, help) {
  const found = findProgram(names) ?? installWithApt(names);
  if (found) return found;
  throw Object.assign(new Error(help), { exitCode: 69 });
}
