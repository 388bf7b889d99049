// What a request costs, coarsely: a change that doubles it fails here. How the bounds are judged is tested in test/unit/scripts.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const guard = join(__dirname, '../../scripts/bench/guard.mjs');
/** 15 s where nothing else runs. On a crowded machine it measures more rounds, and each takes longer. */
const TIMEOUT_MS = 400_000;

test(
  'the owner path stays far below a naive gateway, a forward near it, and both away from Redis',
  async () => {
    const child = spawn(process.execPath, [guard], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('kept') });
  },
  TIMEOUT_MS,
);
