// The files of the dashboard, read once at start: a closed list, so no path of a request ever reaches the file system.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

export interface DashboardFile {
  readonly type: string;
  readonly body: Buffer;
  /** Of the content. Not of size and time: packages give all files the same time, and two releases of a page must not be mixed. */
  readonly etag: string;
}

/** By path of the request. */
export type DashboardFiles = ReadonlyMap<string, DashboardFile>;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** @returns none where the build has not brought them along: the gateway serves without */
export function readDashboard(directory: string = join(import.meta.dirname, 'dashboard')): DashboardFiles {
  const files = new Map<string, DashboardFile>();
  for (const name of listNames(directory)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const body = readFileSync(join(directory, name));
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
    files.set(name === 'index.html' ? '/' : `/dashboard/${name}`, { type, body, etag });
  }
  return files;
}

function listNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
