// A stdio backend with a session host that records, and callers that await what their sink hears.
import { join } from 'node:path';
import type { BackendCall, BackendSession, BackendSessionHost, CallSink, RunningCall } from '../../../src/backends/backend.js';
import { StdioBackend } from '../../../src/backends/stdio/stdio-backend.js';
import type { StdioBackendConfig } from '../../../src/config/schema.js';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import type { GatewayError } from '../../../src/errors/gateway-error.js';
import { type Clock, systemClock } from '../../../src/lifecycle/clock.js';
import type { ProcessGroup } from '../../../src/lifecycle/process-group.js';
import type { RequestId } from '../../../src/protocol/json-rpc.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';

export const RAW_SERVER = join(__dirname, '../../support/fixtures/raw-stdio-server.cjs');
/** Its timers run, but it stays in one second: no window of time ends within a test. */
export const stoppedClock = (): Clock => {
  const nowMs = systemClock.monotonicMs();
  return { ...systemClock, monotonicMs: () => nowMs };
};
export const keyring = makeKeyring(['a secret of the tests']);

export class RecordingHost implements BackendSessionHost {
  readonly sessionRef = 'ref-of-session';
  allowed = true;
  saveAnswer: 'saved' | 'refused' = 'saved';
  readonly saves: { previousGeneration: number; value: BackendSessionRecord }[] = [];
  readonly discarded: BackendSessionRecord[] = [];
  readonly notifications: Record<string, unknown>[] = [];
  readonly lost: string[] = [];
  /** Runs at each question of the guard. */
  onAsk: () => void = () => undefined;

  mayAct(): boolean {
    this.onAsk();
    return this.allowed;
  }

  save(previousGeneration: number, value: BackendSessionRecord): Promise<'saved' | 'refused'> {
    this.saves.push({ previousGeneration, value });
    return Promise.resolve(this.saveAnswer);
  }

  discard(value: BackendSessionRecord): void {
    this.discarded.push(value);
  }

  onNotification(json: Buffer | string): void {
    this.notifications.push(JSON.parse(json.toString()));
  }

  onStateLost(reason: string): void {
    this.lost.push(reason);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: what a server answered; the expectation looks into it
export type Answer = any;

export interface LogLine {
  readonly level: 'info' | 'warn';
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export class Fixture {
  readonly groups: { group: ProcessGroup; alive: boolean }[] = [];
  readonly log: LogLine[] = [];
  readonly hosts: RecordingHost[] = [];
  readonly backend: StdioBackend;

  constructor(
    config: Partial<StdioBackendConfig> = {},
    options: { startTimeout?: number; environment?: Record<string, string>; clock?: Clock } = {},
  ) {
    const write = (level: LogLine['level']) => (fields: object, message: string) =>
      void this.log.push({ level, fields: fields as Record<string, unknown>, message });
    this.backend = new StdioBackend({
      name: 'raw',
      config: {
        type: 'stdio',
        command: process.execPath,
        args: [RAW_SERVER],
        env: {},
        timeout: 20_000,
        onStateLoss: 'fail',
        ...config,
      },
      limits: { startTimeout: options.startTimeout ?? 20_000 },
      keyring,
      clock: options.clock ?? systemClock,
      version: '0.0.0-test',
      gatewayEnvironment: options.environment ?? { PATH: process.env.PATH },
      onGroup: (group, alive) => void this.groups.push({ group, alive }),
      logger: { info: write('info'), warn: write('warn') },
    });
  }

  session(record?: BackendSessionRecord): { host: RecordingHost; session: BackendSession } {
    const host = new RecordingHost();
    this.hosts.push(host);
    return { host, session: this.backend.createSession(host, record) };
  }

  get lastPid(): number {
    return this.groups.filter(({ alive }) => alive).at(-1)?.group.pid as number;
  }
}

export const soon = (withinMs = 20_000) => systemClock.monotonicMs() + withinMs;

/** One call whose sink keeps everything. */
export class Caller implements CallSink {
  readonly carriesRequests = true;
  resume: (() => void) | undefined;
  readonly progress: Record<string, unknown>[] = [];
  readonly running: RunningCall;
  /** The response, parsed; rejects with the error of `fail`. */
  readonly response: Promise<Answer>;
  finalText: string | undefined;
  error: GatewayError | undefined;
  isSlow = false;
  ends = 0;
  #resolve!: (value: Answer) => void;
  #reject!: (error: GatewayError) => void;

  constructor(
    session: BackendSession,
    message: Omit<BackendCall['message'], 'jsonrpc'>,
    more: Partial<BackendCall> = {},
    isSlow = false,
  ) {
    this.isSlow = isSlow;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.response.catch(() => undefined);
    const whole = { jsonrpc: '2.0' as const, ...message };
    this.running = session.call({
      message: whole,
      bytes: JSON.stringify(whole),
      headers: {},
      deadlineMs: soon(),
      sink: this,
      ...more,
    });
  }

  message(json: Buffer | string, final: boolean): boolean {
    if (final) {
      this.ends++;
      this.finalText = json.toString();
      this.#resolve(JSON.parse(this.finalText));
    } else this.progress.push(JSON.parse(json.toString()));
    return !this.isSlow;
  }

  bodyStart(): void {
    throw new Error('a stdio backend sends messages');
  }

  bodyChunk(): boolean {
    throw new Error('a stdio backend sends messages');
  }

  bodyEnd(): void {
    throw new Error('a stdio backend sends messages');
  }

  fail(error: GatewayError): void {
    this.ends++;
    this.error = error;
    this.#reject(error);
  }
}

export function callTool(
  session: BackendSession,
  id: RequestId,
  name: string,
  args: Record<string, unknown> = {},
  more: { progressToken?: RequestId; call?: Partial<BackendCall>; slow?: boolean } = {},
): Caller {
  const meta = more.progressToken === undefined ? {} : { _meta: { progressToken: more.progressToken } };
  return new Caller(session, { id, method: 'tools/call', params: { name, arguments: args, ...meta } }, more.call, more.slow);
}
