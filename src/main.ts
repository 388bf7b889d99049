#!/usr/bin/env node
// Process entry: the primary runs a command, a worker works. The only file that ends the process.
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';

async function runPrimary(): Promise<number> {
  const { runCli } = await import('./cli/run.js');
  const { readEnvironment } = await import('./config/environment.js');
  return runCli(process.argv.slice(2), {
    env: readEnvironment(),
    cwd: process.cwd(),
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    self: { execPath: process.execPath, script: fileURLToPath(import.meta.url) },
    isTty: process.stdout.isTTY === true,
    startPrimary: async (loaded, hooks) => (await import('./cluster/primary.js')).startPrimary({ ...loaded, ...hooks }),
    startBridge: async (settings) => (await import('./bridge/run-bridge.js')).runBridge(settings, process),
  });
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
