// A backend that gives each session a channel of its own, and sees to it that all of them end.
import type { BackendSessionRecord } from '../../directory/directory.js';
import type { Backend, BackendInfo, BackendSession, BackendSessionHost } from '../backend.js';
import { unavailable } from '../failures.js';
import { type ChannelParts, ChannelSession } from './channel-session.js';

export abstract class ChannelBackend implements Backend {
  readonly name: string;
  /** Teardown has nothing to end: the backend session ends with its channel. */
  readonly end = undefined;
  readonly #parts: ChannelParts;
  readonly #open = new Map<Promise<void>, ChannelSession>();
  #lastInfo: BackendInfo | undefined;

  constructor(parts: Omit<ChannelParts, 'onInfo' | 'watch'>) {
    this.name = parts.name;
    this.#parts = {
      ...parts,
      onInfo: (info) => {
        this.#lastInfo = info;
      },
      watch: (session, gone) => {
        this.#open.set(gone, session);
        gone.then(() => this.#open.delete(gone));
      },
    };
  }

  get lastInfo(): BackendInfo | undefined {
    return this.#lastInfo;
  }

  createSession(host: BackendSessionHost, record: BackendSessionRecord | undefined): BackendSession {
    return new ChannelSession(this.#parts, host, record);
  }

  /** Ends every channel. Resolves when nothing of them is left. */
  async close(): Promise<void> {
    for (const session of this.#open.values()) session.close(unavailable(this.name, 'removed'));
    await Promise.all(this.#open.keys());
  }
}
