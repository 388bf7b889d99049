// Every command, in the order of `berth --help`.
import type { Command } from 'commander';
import { addBackends } from './backends.js';
import { addCheck } from './check.js';
import type { CommandContext, Finish } from './context.js';
import { addServe } from './serve.js';
import { addServers } from './servers.js';
import { addSessions } from './sessions.js';
import { addSnippets } from './snippets-command.js';
import { addStdio } from './stdio.js';
import { addTeardowns } from './teardowns.js';
import { addWorkers } from './workers.js';

export function addCommands(program: Command, context: CommandContext, finish: Finish): void {
  addServe(program, context, finish);
  addStdio(program, context, finish);
  addCheck(program, context, finish);
  addSnippets(program, context);
  addSessions(program, context, finish);
  addWorkers(program, context);
  addBackends(program, context);
  addServers(program, context);
  addTeardowns(program, context, finish);
}
