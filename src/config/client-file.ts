// Whose file it is, and what of it is meant for us: blocks of servers, inputs, options of our own. What else a client keeps in its
// file is told and left out; in a file of our own it stays, for the schema to refuse.
import { basename, dirname } from 'node:path';
import { keysAt } from './options.js';
import { type Findings, isRecord, type Path } from './problems.js';

/** `servers`: entries may be virtual servers, too. */
export type BlockKind = 'mcpServers' | 'servers';

export interface Block {
  readonly kind: BlockKind;
  /** Where it stands in the file. */
  readonly path: Path;
  readonly entries: Readonly<Record<string, unknown>>;
  /** Who writes such a block; undefined: several. */
  readonly client: string | undefined;
}

export interface ClientFile {
  /** As its users call it; undefined: a file of our own, or of nobody we know. */
  readonly client: string | undefined;
  /** Without the blocks; what is left is ours. */
  readonly value: Record<string, unknown>;
  readonly blocks: readonly Block[];
  readonly inputs: { readonly path: Path; readonly value: unknown };
  /** Blocks that are no objects: the schema says so. */
  readonly isBroken: boolean;
}

const BY_NAME: Readonly<Record<string, string>> = {
  'claude_desktop_config.json': 'Claude Desktop',
  '.mcp.json': 'Claude Code',
  '.claude.json': 'Claude Code',
  'mcp_config.json': 'Windsurf',
  'cline_mcp_settings.json': 'Cline',
  'mcp_settings.json': 'Roo Code',
};

const BY_DIRECTORY: Readonly<Record<string, string>> = {
  '.cursor': 'Cursor',
  '.vscode': 'VS Code',
  '.codex': 'Codex',
  '.gemini': 'Gemini CLI',
};

/** Top-level blocks that clients write beside their servers, whatever the file is called. */
const FOREIGN_BLOCKS = new Set([
  'globalShortcut',
  'preferences',
  'isUsingBuiltInNodeForMcp',
  'userThemeMode',
  'theme',
  'scale',
  'locale',
  'developer',
  'selectedAuthType',
  'mcpServersDisabled',
  'sandbox',
]);

/** Named at most in one warning. */
const MAX_NAMED = 12;

/** @param file its path, for what the names of file and directory tell; undefined: none */
export function readClientFile(
  root: Readonly<Record<string, unknown>>,
  file: string | undefined,
  findings: Findings,
): ClientFile {
  const { warnings, problems, placeOf } = findings;
  const client = clientOf(root, file);
  const own = new Set(keysAt([]));
  const value: Record<string, unknown> = {};
  const blocks: Block[] = [];
  const foreign: string[] = [];
  let inputs: ClientFile['inputs'] = { path: ['inputs'], value: undefined };
  const add = (kind: BlockKind, path: Path, entries: unknown, writer: string | undefined) => {
    // A key whose lines are all commented out.
    if (entries === null || entries === undefined) return true;
    if (isRecord(entries)) blocks.push({ kind, path, entries, client: writer });
    return isRecord(entries);
  };
  let isBroken = false;
  for (const [key, part] of Object.entries(root)) {
    if (key === '$schema') continue;
    if (key === 'mcpServers' || key === 'servers') {
      if (add(key, [key], part, key === 'servers' ? 'VS Code' : undefined)) continue;
      value[key] = part;
      isBroken = true;
    } else if (key === 'mcp_servers') {
      if (add('mcpServers', [key], part, 'Codex')) continue;
      problems.push({ where: placeOf([key]), message: 'expected tables by name', remedy: 'Write [mcp_servers.NAME].' });
    } else if (key === 'inputs') inputs = { path: [key], value: part };
    else if (key === 'mcp.servers') add('servers', [key], part, 'VS Code');
    else if (key === 'mcp' && isRecord(part) && ('servers' in part || 'inputs' in part)) {
      add('servers', [key, 'servers'], part.servers, 'VS Code');
      if ('inputs' in part) inputs = { path: [key, 'inputs'], value: part.inputs };
    } else if (own.has(key)) value[key] = part;
    else if (client !== undefined) {
      const loud = whatItMeans(key, part);
      if (loud) warnings.push(`${placeOf([key])}: belongs to ${client}; ignored; ${loud}`);
      else foreign.push(placeOf([key]));
    } else if (FOREIGN_BLOCKS.has(key)) warnings.push(`${placeOf([key])}: belongs to another program; ignored`);
    else value[key] = part;
  }
  if (foreign.length) {
    const more = foreign.length > MAX_NAMED ? ` and ${foreign.length - MAX_NAMED} more` : '';
    const verb = foreign.length === 1 ? 'belongs' : 'belong';
    warnings.push(`${foreign.slice(0, MAX_NAMED).join(', ')}${more}: ${verb} to ${client}; ignored`);
  }
  return { client, value, blocks, inputs, isBroken };
}

function clientOf(root: Readonly<Record<string, unknown>>, file: string | undefined): string | undefined {
  // No other program writes these, wherever the file was copied to.
  if ('mcp_servers' in root) return 'Codex';
  if ('mcp.servers' in root || (isRecord(root.mcp) && 'servers' in root.mcp)) return 'VS Code';
  if (file === undefined) return undefined;
  return BY_NAME[basename(file).toLowerCase()] ?? BY_DIRECTORY[basename(dirname(file))];
}

/** Of blocks that change what is served, or that look as if they were. */
function whatItMeans(key: string, part: unknown): string | undefined {
  if (key === 'mcp' && isRecord(part) && ('allowed' in part || 'excluded' in part)) {
    return 'ALL SERVERS ARE SERVED: write disabled: true into those that should not be';
  }
  const hasServers = (project: unknown) =>
    isRecord(project) && isRecord(project.mcpServers) && Object.keys(project.mcpServers).length;
  if (key === 'projects' && isRecord(part) && Object.values(part).some(hasServers)) {
    return 'servers of single projects are not served: copy those that should be into the mcpServers at the top';
  }
  return undefined;
}
