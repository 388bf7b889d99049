// One worker's connection to Redis, as a network may treat it: commands run in the order in which they were sent and are answered in
// that order, but when, and whether the worker hears of it, the simulation decides. Nothing moves by itself, so a run repeats exactly.
import type { RedisConnection } from '../../../src/redis/connect.js';

/** Runs one command on the real Redis. */
export type RunCommand = (name: string, args: readonly unknown[]) => Promise<unknown>;

/** What happens to one command: it does not run; it runs unheard; it is given up, and runs at some later time. */
export type Loss = 'request' | 'reply' | 'late';

interface Sent {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
  outcome?: { readonly reply: unknown } | { readonly error: Error };
}

export class Wire {
  /** What a RedisDirectory is given. */
  readonly connection: RedisConnection;
  isUp = true;
  /** `held`: only what the simulation asks for moves. Else everything that is sent runs and is answered at once. */
  held = false;
  /** Commands that were given up and lie in a buffer somewhere. */
  readonly strays: Array<() => Promise<void>> = [];
  /** Told of each answer that reaches the worker, before it does. */
  onAnswer: ((name: string, args: readonly unknown[], reply: unknown) => void) | undefined;
  readonly #run: RunCommand;
  readonly #losses = new Map<number, Loss>();
  #count = 0;
  #sent: Sent[] = [];
  #ran: Sent[] = [];

  constructor(run: RunCommand) {
    this.#run = run;
    this.connection = new Proxy({} as RedisConnection, {
      get: (_target, name) => (typeof name === 'string' && name !== 'then' ? this.#method(name) : undefined),
    });
  }

  get waitsToRun(): number {
    return this.#sent.length;
  }

  get waitsToArrive(): number {
    return this.#ran.length;
  }

  /** The command after the next `after` ones is lost. */
  lose(after: number, loss: Loss): void {
    this.#losses.set(this.#count + after, loss);
  }

  /** The oldest command runs at Redis. */
  async runOne(): Promise<void> {
    const command = this.#sent.shift();
    if (!command) return;
    const loss = this.#losses.get(this.#count++);
    if (loss === 'late') this.strays.push(this.#stray(command));
    if (loss === 'reply') await this.#stray(command)();
    if (loss) command.outcome = { error: new Error('Command timed out') };
    else await this.#runNow(command);
    this.#ran.push(command);
  }

  async #runNow(command: Sent): Promise<void> {
    command.outcome = await this.#run(command.name, command.args).then(
      (reply) => ({ reply }),
      (error: Error) => ({ error }),
    );
  }

  #stray(command: Sent): () => Promise<void> {
    return async () => {
      await this.#run(command.name, command.args).catch(() => undefined);
    };
  }

  /** The oldest answer reaches the worker. */
  deliverOne(): void {
    const command = this.#ran.shift();
    if (!command?.outcome) return;
    if ('error' in command.outcome) {
      command.reject(command.outcome.error);
      return;
    }
    this.onAnswer?.(command.name, command.args, command.outcome.reply);
    command.resolve(command.outcome.reply);
  }

  /** The worker gives up on all it waits for; what was not run yet still runs in its turn, unheard. */
  timeOut(): void {
    for (const command of [...this.#ran, ...this.#sent]) command.reject(new Error('Command timed out'));
    this.#ran = [];
    this.#sent = this.#sent.map((command) => ({ ...command, resolve: () => undefined, reject: () => undefined }));
  }

  /**
   * The connection breaks, and nothing is heard any more.
   * @param late what had been sent lies in a buffer before Redis
   * @returns tells the worker, as soon as it runs
   */
  break(late = false): () => void {
    this.isUp = false;
    const unheard = [...this.#ran, ...this.#sent];
    if (late) this.strays.push(...this.#sent.map((command) => this.#stray(command)));
    this.#ran = [];
    this.#sent = [];
    return () => {
      for (const command of unheard) command.reject(new Error('Connection is closed.'));
    };
  }

  #method(name: string) {
    return (...args: unknown[]) =>
      new Promise((resolve, reject) => {
        if (this.isUp) this.#sent.push({ name, args, resolve, reject });
        else reject(new Error("Stream isn't writeable and enableOfflineQueue options is false"));
      });
  }
}
