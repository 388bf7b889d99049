// What a command may touch of the process it runs in.
import type { BridgeSettings } from '../bridge/bridge.js';
import type { Environment } from '../config/environment.js';
import type { LoadedConfig } from '../config/load.js';
import type { Ports } from './welcome.js';

export interface CommandContext {
  readonly env: Environment;
  readonly cwd: string;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** How this program was started: what a client needs to start its bridge. */
  readonly self: { readonly execPath: string; readonly script: string };
  /** Whether `out` is a terminal. */
  readonly isTty: boolean;
  /** Runs the gateway to its end; resolves with the exit code. `reload` reads the configuration again, or throws why not. */
  readonly startPrimary: (loaded: LoadedConfig, hooks: ServeHooks) => Promise<number>;
  /** Runs the bridge to its end; resolves with the exit code. */
  readonly startBridge: (settings: BridgeSettings) => Promise<number>;
}

export interface ServeHooks {
  readonly reload: () => LoadedConfig;
  /** Hears once that all workers serve. */
  readonly onReady?: (ports: Ports) => void;
}

/** Says with which exit code the process ends. */
export type Finish = (exitCode: number) => void;
