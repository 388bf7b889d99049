// The bridge as a process: its streams, its signals, its end.
import { systemClock } from '../lifecycle/clock.js';
import { Bridge, type BridgeSettings } from './bridge.js';

/** Of the process: what the bridge touches. */
export interface BridgeProcess {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  on(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', run: () => void): unknown;
}

const KEEP_ALIVE_MS = 60_000;

/**
 * Runs until the client closes stdin or reads no more, or a signal.
 * @returns the exit code: 0, or 1 after a second signal
 */
export async function runBridge(settings: BridgeSettings, process: BridgeProcess): Promise<number> {
  const { stdin, stdout, stderr } = process;
  // Whoever started us may have left: a note that nobody reads ends nothing.
  stderr.on('error', () => undefined);
  const bridge = new Bridge(settings, { stdin, stdout, note: (text) => void stderr.write(text) }, systemClock);
  // The timers of the clock keep no process alive, and between stdin's end and ours nothing else may.
  const keepAlive = setInterval(() => undefined, KEEP_ALIVE_MS);
  const forced = new Promise<number>((resolve) => {
    let count = 0;
    const onSignal = () => {
      count++;
      if (count > 1) resolve(1);
      else void bridge.end(0);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    process.on('SIGHUP', onSignal);
  });
  try {
    return await Promise.race([bridge.ended.then(() => 0), forced]);
  } finally {
    clearInterval(keepAlive);
  }
}
