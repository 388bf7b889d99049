// What is done with each command of the documents. One that stands in none of these tables fails `test/unit/docs`: put it where it belongs.
import { ROOT } from '../support/documents.js';

/** By how they begin: run to their end, which has to be exit code 0. */
export const RUNS: readonly string[] = [
  'KEY=',
  'cat ',
  'curl ',
  'echo ',
  'export BERTH_ADMIN_TOKEN=',
  'export BERTH_SECRET=',
  'kill ',
  'kubectl kustomize ',
  'mkdir ',
  'node examples/client.mjs ',
  'npx berth backends',
  'npx berth check',
  'npx berth sessions',
  'npx berth snippets',
  'npx berth teardowns',
  'npx berth workers',
  'printf ',
];

/** Go on until Ctrl-C, in a terminal of their own: what they have printed by the time that the reader goes on, and what they end with. */
export const STAYS: ReadonlyArray<{ readonly is: RegExp; readonly ready: RegExp; readonly replaces?: boolean }> = [
  // A reader ends the one before: both want the same port.
  { is: /^npm start\b/, ready: /Ctrl-C ends it/, replaces: true },
  { is: /(^|\s)npx berth serve /, ready: /"msg":"ready"/ },
  { is: /^node examples\/client\.mjs .*--every /, ready: /call 2 / },
  { is: /npx mcp-server-everything streamableHttp$/, ready: /listening on port/ },
  { is: /^redis-server /, ready: /Ready to accept connections/ },
  { is: /^nginx /, ready: /start worker process / },
];

/** By how they begin: what cannot be run here, and why. */
export const NOT_HERE: ReadonlyArray<{ readonly begins: string; readonly why: string }> = [
  { begins: 'git clone ', why: 'the run begins in a copy of this clone' },
  { begins: 'claude mcp ', why: 'needs Claude Code' },
  { begins: 'codex mcp ', why: 'needs Codex' },
  { begins: 'code --add-mcp ', why: 'needs VS Code' },
  { begins: 'docker ', why: 'needs a Docker daemon' },
  { begins: 'kubectl -n ', why: 'needs a cluster' },
  { begins: 'kubectl apply ', why: 'needs a cluster' },
  { begins: 'kubectl create ', why: 'needs a cluster' },
  { begins: 'npm test', why: 'a lane of its own' },
  { begins: 'npm run check', why: 'a lane of its own' },
  { begins: 'npm run test:', why: 'a lane of its own' },
  { begins: 'npm run conformance', why: 'a lane of its own' },
  { begins: 'npm run docs', why: 'npm test has it as a check' },
  { begins: 'npm run bench', why: 'minutes of measuring' },
  { begins: 'node scripts/bench/where.mjs', why: 'reads what the bench wrote' },
  { begins: 'npm run build', why: 'npm test begins with it' },
  { begins: 'npx -p node@24 ', why: 'another version of Node, and minutes of measuring' },
  { begins: 'npm run guard', why: 'the cluster lane has a test of it' },
  { begins: 'npm run measure:scheduling', why: 'minutes of measuring' },
  { begins: 'npm run chaos', why: 'minutes of faults' },
  { begins: 'npm run soak', why: 'minutes of load' },
  { begins: 'npm run measure:', why: 'minutes of measuring' },
  { begins: 'npm run capacity', why: 'test/unit/scripts has it' },
  { begins: 'npm run demo:chaos', why: 'half a minute of faults' },
  { begins: 'ssh ', why: 'needs a host elsewhere' },
  { begins: 'npm run pods', why: 'the reliability lane has a test of it' },
  { begins: 'npx jest ', why: 'a part of a lane' },
];

/** What stands for a value in commands and configurations. */
export const VALUES: Readonly<Record<string, string>> = {
  '<64 hex digits>': 'ab'.repeat(32),
  '/path/to/berth': ROOT,
};

/** Variables that configurations of the documents refer to. */
export const VARIABLES: Readonly<Record<string, string>> = {
  BERTH_REDIS_URL: 'redis://127.0.0.1:6379/0',
  BERTH_SECRET: 'a secret of the documents',
  BERTH_ADMIN_TOKEN: 'a token of the documents',
  BERTH_TOKEN: 'a key',
  FILES_TOKEN: 'a token',
  TENANT: 'blue',
  TICKETS_TOKEN: 'a token',
  TICKETS_CLIENT_SECRET: 'a secret',
};

/** The ports that the documents write down; a run takes free ones instead of them. */
export const PORTS: readonly string[] = ['8080', '8081', '3001', '6390'];

export type Verdict =
  | { readonly kind: 'runs' }
  | { readonly kind: 'stays'; readonly ready: RegExp; readonly replaces: boolean }
  | { readonly kind: 'not here'; readonly why: string };

export function classify(command: string): Verdict | undefined {
  const absent = NOT_HERE.find(({ begins }) => command.startsWith(begins));
  if (absent) return { kind: 'not here', why: absent.why };
  const stays = STAYS.find(({ is }) => is.test(command));
  if (stays) return { kind: 'stays', ready: stays.ready, replaces: stays.replaces ?? false };
  return RUNS.some((begins) => command.startsWith(begins)) ? { kind: 'runs' } : undefined;
}

export const withValues = (text: string): string =>
  Object.entries(VALUES).reduce((done, [name, value]) => done.replaceAll(name, value), text);
