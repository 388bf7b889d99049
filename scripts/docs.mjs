// Makes docs/configuration.md, docs/errors.md and docs/metrics.md from the built sources, and the tables of docs/benchmarks.md from the
// figures beside it, docs/capacity.md from docs/capacity.json; `--check` fails if they differ from what is committed.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { fillIn } from './bench/benchmarks-page.mjs';
import { capacityPage } from './capacity/page.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const load = (name) =>
  import(pathToFileURL(join(root, 'dist', name)).href).catch((error) => {
    process.stderr.write(`dist/${name} cannot be loaded; run: npm run build\n${error.message}\n`);
    process.exit(1);
  });

const { listOptions } = await load('config/options.js');
const { CATALOG } = await load('errors/catalog.js');
const { METRIC_DOCS } = await load('observability/metric-docs.js');

const cell = (text) => text.replaceAll('|', '\\|');
const KINDS = {
  string: 'text',
  number: 'whole number',
  boolean: 'true or false',
  list: 'list of texts',
  map: 'names with values',
};

/** Of the three kinds of backends. */
const HEADINGS = {
  stdio: '### A command (stdio)',
  http: '### A URL (Streamable HTTP)',
  sse: '### A URL (HTTP+SSE, protocol 2024-11-05)',
};

function kindText({ kind, choices, path }) {
  if (path.join('.') === 'workers') return '`auto` or a whole number from 1 to 64';
  if (kind === 'choice') return choices.map((choice) => `\`${choice}\``).join(', ');
  return KINDS[kind] ?? kind;
}

function defaultText({ default: value, kind, path }) {
  if (path.join('.') === 'workers') return '`auto`';
  if (value === undefined) return kind === 'choice' && path.at(-1) === 'type' ? '' : 'none';
  if (value === '') return 'empty';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function optionSection(option, heading) {
  const { doc, variable } = option;
  const names = [doc.short, variable].filter(Boolean);
  const facts = [`Type: ${kindText(option)}`];
  if (defaultText(option)) facts.push(`default: ${defaultText(option)}`);
  const isWithin = ['mcpServers', 'servers'].includes(option.path[0]);
  facts.push(isWithin || doc.reload === 'live' ? 'applied by a reload' : 'needs a restart');
  if (names.length)
    facts.push(`environment: ${names.map((name) => `\`${name}\``).join(' or ')}${doc.secret ? ', each also with `_FILE`' : ''}`);
  return [
    `### ${heading}`,
    '',
    doc.text,
    ...(doc.reason ? ['', `Why change it: ${doc.reason}`] : []),
    '',
    `${facts.join(' · ')}.`,
    '',
  ];
}

const INTRO = `# Configuration

<!-- Made by \`npm run docs\` from src/config/schema.ts: change it there. -->

\`berth serve\` reads \`berth.yaml\`, \`berth.yml\` or \`berth.json\` (comments and trailing commas allowed) in its directory, or the file that
\`--config\` names: YAML, \`.json\` or \`.toml\`. \`berth check [FILE]\` tells what it understood and prints what is in effect, without secrets.

- **Order**: flag, else environment, else file, else default.
- **Environment**: every option below names its variable; \`__\` goes one level down. Lists are separated by commas. An empty variable
  counts as unset, an unknown one that begins with \`BERTH_\` is an error (except those that Kubernetes makes for a Service, \`BERTH_TOKEN\`,
  which clients use, and \`BERTH_INPUT_*\`, [inputs](pasting.md#inputs)). For a secret \`<VARIABLE>_FILE\` may name a file that holds it.
- **References** in texts of the file: \`\${VAR}\`, \`\${VAR:-default}\`, \`\${env:VAR}\`, and [those of clients](pasting.md#references). They are
  replaced after parsing; a variable that is not set is an error. \`$\${\` stands for the characters \`\${\` themselves.
- **Durations** are written \`500ms\`, \`5s\`, \`2m\`, \`2h\`; **sizes** \`512B\`, \`64KiB\`, \`4MiB\`. A bare number is an error.
- **Unknown keys** are errors with a suggestion. Files of MCP clients (Claude, Cursor, Windsurf, Cline, VS Code, Codex, Gemini CLI) are
  read as they are: what is honoured, what is ignored and how \`inputs\` are given is in [pasting.md](pasting.md).
- **Names** of backends and virtual servers are letters, digits, \`_\` and \`-\`, begin with a letter or digit and have 32 characters at most;
  other characters become \`-\`, with a warning.
- **Reload**: on SIGHUP, and when the file has changed (looked at every 2 s, through links as Kubernetes makes them for a ConfigMap), it is
  read and checked as at the start and applied in all workers, or in none if anything is wrong with it; the log says what or why. Sessions
  live on ([backends.md](backends.md#adding-and-removing)). An option that needs a restart says so below: it keeps its value, with a warning. The
  environment is that of the start.

The start is refused (exit code 78) with \`redis.url\` but without a secret; with \`listen\` off loopback but without \`publicUrl\` or \`hosts\`,
or without \`auth.mode\` written out; with \`admin.listen\` off loopback but without \`admin.token\`; with \`limits.hold\` below
\`internal.lease\` + 2 s; with a secret of fewer than 16 characters.
`;

function configurationPage() {
  const lines = [INTRO];
  let group;
  const options = listOptions();
  const top = options.filter(({ path }) => path.length === 1 && !['mcpServers', 'servers'].includes(path[0]));
  lines.push('## General', '', ...top.flatMap((option) => optionSection(option, `\`${option.path[0]}\``)));
  for (const option of options.filter(({ path }) => !top.some((other) => other.path === path))) {
    const { path } = option;
    const isBackend = path[0] === 'mcpServers' && path.length > 1;
    if (path[0] !== group) {
      group = path[0];
      lines.push(`## \`${group}\``, '');
    }
    if (path.length === 1) {
      lines.push(option.doc.text, '');
      continue;
    }
    if (isBackend && path.at(-1) === 'type') {
      lines.push(HEADINGS[option.choices[0]], '');
    }
    const name = path.map((part) => (part === '*' ? '<name>' : part)).join('.');
    const section = optionSection(option, `\`${name}\``);
    if (isBackend) section[0] = `#${section[0]}`;
    lines.push(...section);
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

const RETRY = {
  never: 'no',
  safe: 'yes: it was not begun',
  after: 'yes, after `Retry-After`: it was not begun',
};

function errorsPage() {
  const rows = Object.entries(CATALOG).map(
    ([code, { status, rpcCode, source, retry, message, remedy }]) =>
      `| \`${code}\` | ${status} | ${rpcCode} | ${source} | ${RETRY[retry]} | ${cell(message)} | ${cell(remedy)} |`,
  );
  return `# Errors

<!-- Made by \`npm run docs\` from src/errors/catalog.ts: change it there. -->

Every error is a JSON-RPC error with the id of the request. The name of the error is for the log and this page; a caller sees the HTTP
status, the code and the message.

| error | HTTP | JSON-RPC | source | try again? | message | what to do |
|---|---|---|---|---|---|---|
${rows.join('\n')}

## Exit codes

| code | meaning | what to do |
|---|---|---|
| 0 | ended after a drain, also one that reached its time-out | |
| 1 | forced by a second signal; of other commands than \`serve\`: it failed, see its last line | |
| 64 | bad usage of the command line | \`berth --help\` |
| 69 | Redis could not be reached for \`redis.startTimeout\`, or a port is in use | the last line of the log says which |
| 78 | bad configuration | each line names a place and its remedy; \`berth check\` says the same without a start |
`;
}

function metricsPage() {
  const rows = METRIC_DOCS.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${cell(help)} |`,
  );
  return `# Metrics

<!-- Made by \`npm run docs\` from src/observability/metric-docs.ts: change it there. -->

\`GET /metrics\` on the admin port covers all workers of the pod, in the Prometheus format. The label \`worker\` is the index of the worker,
from 1. No label holds a session, a caller or a URL. What is healthy, and where to look if it is not: [operations.md](operations.md#metrics).

Counters are sums over all workers that the pod has had: what a worker that died had counted at the last scrape is kept, the little that it
counted after that is missing, and none falls but at a restart of the pod. A worker that does not answer within a second delays the scrape by
that, stands in it with its last counters and without its gauges, and is missing in \`berth_workers{state="reporting"}\` (and in the header
\`x-berth-workers-reporting: 1/2\`). What concerns the cluster (\`berth_teardown_jobs\`) is told by every pod alike: take the maximum, not the sum.
Rules for alerts are in [deploy/prometheus/alerts.yaml](../deploy/prometheus/alerts.yaml) ([operations.md](operations.md#alerts) says where
to look at each), a dashboard for Grafana in [deploy/grafana/berth.json](../deploy/grafana/berth.json); a test checks both against this list.

| metric | type | labels | meaning |
|---|---|---|---|
${rows.join('\n')}
`;
}

const benchmarksPage = () => fillIn(readFileSync(join(root, 'docs/benchmarks.md'), 'utf8'), join(root, 'docs/benchmarks'));

const pages = {
  'configuration.md': configurationPage(),
  'errors.md': errorsPage(),
  'metrics.md': metricsPage(),
  'benchmarks.md': benchmarksPage(),
  'capacity.md': capacityPage(),
};
const check = process.argv.includes('--check');
for (const [name, text] of Object.entries(pages)) {
  const file = join(root, 'docs', name);
  let committed;
  try {
    committed = readFileSync(file, 'utf8');
  } catch {
    // Not there yet: differs.
  }
  if (committed === text) continue;
  if (check) {
    process.stderr.write(`docs/${name} is out of date; run: npm run build && npm run docs\n`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    process.stdout.write(`docs/${name}\n`);
  }
}
