// The documents as far as that can be told without running anything; `npm run test:docs` runs their commands.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import { configSchema } from '../../../src/config/schema.js';
import { allowsTool } from '../../../src/servers/tool-filter.js';
import { makeServers } from '../../../src/servers/virtual-server.js';
import { classify, NOT_HERE, RUNS, STAYS, VALUES, VARIABLES, withValues } from '../../docs/commands.js';
import {
  anchorsOf,
  type Block,
  blocksOf,
  type Command,
  commandsOf,
  filesOf,
  linksOf,
  readDocument,
  ROOT,
} from '../../support/documents.js';

const DOCUMENTS = filesOf('README.md', 'CONTRIBUTING.md', 'docs/*.md', 'examples/*.md').filter(
  (file) => !file.startsWith('docs/adr/'),
);
const at = ({ file, line }: Block | Command) => `${file}:${line}`;

describe('commands', () => {
  const commands = DOCUMENTS.flatMap(commandsOf);

  it('are known, each of them', () => {
    const unknown = commands.filter(({ text }) => classify(text) === undefined);
    const remedy = 'say in test/docs/commands.ts what becomes of it; what is no command belongs in a block ```text';
    expect(unknown.map((command) => `${at(command)}: ${command.text} (${remedy})`)).toEqual([]);
  });

  it('leave no entry of the tables without use', () => {
    const texts = commands.map(({ text }) => text);
    const begins = [...RUNS, ...NOT_HERE.map((one) => one.begins)];
    expect(begins.filter((start) => !texts.some((text) => text.startsWith(start)))).toEqual([]);
    expect(STAYS.filter(({ is }) => !texts.some((text) => is.test(text)))).toEqual([]);
    const whole = DOCUMENTS.map(readDocument).join('\n');
    expect([...Object.keys(VALUES), ...Object.keys(VARIABLES)].filter((name) => !whole.includes(name))).toEqual([]);
  });
});

describe('configurations', () => {
  const blocks = DOCUMENTS.flatMap(blocksOf).filter(({ language }) => ['yaml', 'json'].includes(language));
  const options = new Set(Object.keys(configSchema.shape));
  /** What the admin API answers has names such as `sessions` too, for lists. */
  const isConfig = ({ text, language }: Block) =>
    Object.entries(parse(text) as object).every(
      ([key, value]) => options.has(key) && !(language === 'json' && Array.isArray(value)),
    );
  let cwd: string;
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'berth-docs-'));
    writeFileSync(join(cwd, 'keys.yaml'), `carol: "${'cd'.repeat(32)}"\n`);
  });
  afterAll(() => rmSync(cwd, { recursive: true }));

  it('are those of the documents', () => {
    expect(blocks.filter(isConfig).length).toBeGreaterThan(10);
  });

  it.each(blocks.map((block) => [at(block), block] as const))('%s can be read', (_where, block) => {
    expect(parse(block.text)).toEqual(expect.any(Object));
  });

  it.each(blocks.filter(isConfig).map((block) => [at(block), block] as const))('%s is valid', (_where, { text, language }) => {
    const file = join(cwd, `berth.${language}`);
    writeFileSync(file, withValues(text));
    expect(loadConfig({ file, env: VARIABLES, cwd }).config).toBeDefined();
  });
});

describe('examples', () => {
  const FILES = filesOf('examples/*/berth.yaml', 'examples/*/.mcp.json');
  let cwd: string;
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'berth-docs-'));
  });
  afterAll(() => rmSync(cwd, { recursive: true }));

  it('have a configuration and a README each, and stand in the list', () => {
    const folders = new Set(filesOf('examples/*/*').map((file) => file.split('/')[1] as string));
    expect([...folders].sort()).toEqual(FILES.map((file) => file.split('/')[1] as string).sort());
    for (const folder of folders) {
      expect(existsSync(join(ROOT, 'examples', folder, 'README.md'))).toBe(true);
      expect(readDocument('examples/README.md')).toContain(`](${folder}/README.md)`);
    }
  });

  it.each(FILES)('%s is valid', (file) => {
    // The key files are made by the reader: one is put beside a copy.
    const copy = join(cwd, file.replaceAll('/', '-'));
    writeFileSync(copy, readDocument(file));
    writeFileSync(join(cwd, 'keys.yaml'), `carol: "${'cd'.repeat(32)}"\n`);
    expect(Object.keys(loadConfig({ file: copy, env: VARIABLES, cwd }).config.mcpServers).length).toBeGreaterThan(0);
  });
});

describe('links', () => {
  const linking = [...DOCUMENTS, ...filesOf('docs/adr/*.md', 'src/README.md', 'scripts/*/README.md')];

  it.each(linking)('of %s lead somewhere', (file) => {
    const broken = linksOf(file).flatMap(({ line, path, anchor }) => {
      const found = path ? normalize(join(dirname(file), path)) : file;
      if (!existsSync(join(ROOT, found))) return [`${file}:${line}: there is no ${found}`];
      if (anchor === undefined || anchorsOf(found).has(anchor)) return [];
      return [`${file}:${line}: ${found} has no #${anchor}`];
    });
    expect(broken).toEqual([]);
  });
});

it('lists every document in docs/README.md', () => {
  const listed = linksOf('docs/README.md').map(({ path }) => normalize(join('docs', path)));
  const documents = filesOf('docs/*.md').filter((file) => !file.startsWith('docs/adr/') && file !== 'docs/README.md');
  expect(documents.filter((file) => !listed.includes(file))).toEqual([]);
});

// It shows the environment of whoever runs the server.
describe('get-env of server-everything is served at no endpoint', () => {
  const FILES = filesOf('examples/*/berth.yaml', 'deploy/*/berth.yaml', 'k8s/overlays/*/berth.yaml', 'scripts/demo/berth.yaml');
  const shown = configSchema.pick({ mcpServers: true, servers: true, expose: true });

  it.each(FILES)('of %s', (file) => {
    const { mcpServers, servers, expose } = parse(readDocument(file).replace(/\$\{\w+\}/g, '1'));
    const config = shown.parse({ mcpServers, servers, expose });
    const places = makeServers(config).servers.flatMap(({ id, backends, tools }) =>
      backends
        .filter((backend) => `${backend} ${JSON.stringify(config.mcpServers[backend])}`.includes('everything'))
        .map((backend) => ({ id, isShown: allowsTool(tools, { backend, name: 'get-env' }) })),
    );
    expect(places.length).toBeGreaterThan(0);
    expect(places.filter(({ isShown }) => isShown)).toEqual([]);
  });
});
