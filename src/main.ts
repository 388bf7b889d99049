#!/usr/bin/env node
// Process entry: the primary runs a command, a worker works. The only file that ends the process.
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';

async function runPrimary(): Promise<number> {
  const { runCli } = await import('./cli/run.js');
  const { readEnvironment } = await import('./config/environment.js');
  const { CommandOutput } = await import('./cli/output.js');
  const [out, err] = [new CommandOutput(process.stdout), new CommandOutput(process.stderr)];
  const code = await runCli(process.argv.slice(2), {
    env: readEnvironment(),
    cwd: process.cwd(),
    out: out.write,
    err: err.write,
    self: { execPath: process.execPath, script: fileURLToPath(import.meta.url) },
    isTty: process.stdout.isTTY === true,
    startPrimary: async (loaded, hooks) => (await import('./cluster/primary.js')).startPrimary({ ...loaded, ...hooks }),
    startBridge: async (settings) => (await import('./bridge/run-bridge.js')).runBridge(settings, process),
  });
  const failure = await out.flushed();
  if (failure) err.write(`berth: the output could not be written (${failure.message})\n`);
  await err.flushed();
  return code === 0 && failure ? 1 : code;
}

// Loaded on demand: a worker needs no command line, a command no worker.
if (cluster.isPrimary) {
  runPrimary().then(
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(`berth: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(1);
    },
  );
} else {
  void import('./cluster/worker.js').then(({ runWorker }) => runWorker(process, (code) => process.exit(code)));
}
