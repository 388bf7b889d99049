// What a command may touch of the process it runs in.
import type { BridgeSettings } from '../bridge/bridge.js';
import type { Environment } from '../config/environment.js';
import type { LoadedConfig } from '../config/load.js';

export interface CommandContext {
  readonly env: Environment;
  readonly cwd: string;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Runs the gateway to its end; resolves with the exit code. `reload` reads the configuration again, or throws why not. */
  readonly startPrimary: (loaded: LoadedConfig, reload: () => LoadedConfig) => Promise<number>;
  /** Runs the bridge to its end; resolves with the exit code. */
  readonly startBridge: (settings: BridgeSettings) => Promise<number>;
}

/** Says with which exit code the process ends. */
export type Finish = (exitCode: number) => void;
