// Clients that there are snippets for. Alone in a file: the command line names them without loading what makes the snippets.
export const SNIPPET_CLIENTS = ['claude-code', 'claude-desktop', 'cursor', 'windsurf', 'cline', 'vscode', 'codex'] as const;
export type SnippetClient = (typeof SNIPPET_CLIENTS)[number];
