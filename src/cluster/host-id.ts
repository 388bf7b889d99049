// Which machine this is, as far as addresses and pids are concerned: a loopback address of another host is of no use here.
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { digestOf } from '../protocol/ids.js';

/** Host name and boot: containers differ by the former, a machine that was set up from the same image by the latter. */
export function readHostId(): string {
  return digestOf(`${hostname()}\n${readBootId()}`);
}

/** Pids and their start times mean something only to those who give the same answer here. */
export function readPidSpace(): string {
  return digestOf(`${readBootId()}\n${readLink('/proc/self/ns/pid')}`);
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return ''; // Not Linux: the name has to do.
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
