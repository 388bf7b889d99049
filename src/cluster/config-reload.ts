// Brings a changed configuration into force, in all workers or in none: loaded and checked as at a start, prepared by every worker that
// runs, then applied. Whoever starts meanwhile gets it by its first message.
import type { LoadedConfig } from '../config/load.js';
import { configError } from '../config/problems.js';
import { redactConfig } from '../config/redact.js';
import { reloadConfig } from '../config/reload.js';
import type { Config } from '../config/schema.js';
import { checkStartable } from '../config/start-checks.js';
import { resolveWorkers } from '../config/workers.js';
import { type Clock, pause } from '../lifecycle/clock.js';
import type { Logger } from '../observability/log.js';
import { compareBackends } from './backend-changes.js';
import type { FromWorker, ToWorker } from './messages.js';

/** A worker, as far as a reload is concerned. */
export interface ReloadingWorker {
  readonly index: number;
  /** It has all of the configuration it was started with; before that it is not waited for. */
  readonly hasStarted: boolean;
  readonly hasExited: boolean;
  send(message: ToWorker): void;
  kill(): void;
}

/** `unchanged`: nothing to do · `refused`: the file is bad · `failed`: a worker could not prepare it. */
export type ReloadOutcome = 'applied' | 'unchanged' | 'refused' | 'failed';
export type ReloadCause = 'SIGHUP' | 'file';
type Answer = Extract<FromWorker, { kind: 'reloaded' | 'applied' }>;

export interface ConfigReloadParts {
  readonly running: Config;
  /** Of `running`: values that are shown nowhere. */
  readonly secrets: readonly string[];
  readonly load: () => LoadedConfig;
  readonly file: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly workers: () => readonly ReloadingWorker[];
  readonly onOutcome: (outcome: ReloadOutcome) => void;
}

/** A worker that does not answer in this time keeps everybody from it. */
const PREPARE_MS = 10_000;
/** After a worker could not take it. */
const RETRY_MS = 30_000;
const EMPTY = 'the file is empty. Write the options back; to run with the defaults alone, restart.';
/** Only the log waits for it. */
const APPLY_MS = 5000;

/** A configuration that all could prepare. */
interface Prepared {
  readonly applied: readonly string[];
  readonly taking: readonly ReloadingWorker[];
  /** Shown nowhere. */
  readonly secrets: readonly string[];
}

interface Round {
  readonly kind: Answer['kind'];
  readonly waiting: Set<ReloadingWorker>;
  readonly errors: string[];
  done(): void;
}

export class ConfigReload {
  readonly #parts: ConfigReloadParts;
  #config: Config;
  #secrets: readonly string[];
  #revision = 0;
  #revisionInForce = 0;
  #round: Round | undefined;
  #running: Promise<void> | undefined;
  /** Asked for while one was under way: the file may have changed after it was read. */
  #next: ReloadCause | undefined;

  constructor(parts: ConfigReloadParts) {
    this.#parts = parts;
    // As workers get it: an option that is undefined and one that is absent are the same.
    this.#config = JSON.parse(JSON.stringify(parts.running)) as Config;
    this.#secrets = parts.secrets;
  }

  /** In force: what a worker that starts now is given. */
  get config(): Config {
    return this.#config;
  }

  /** Of the configuration in force: values that are shown nowhere. */
  get secrets(): readonly string[] {
    return this.#secrets;
  }

  /** However often it is asked for, one runs at a time and one more follows. Resolves when there is nothing left to do. */
  request(cause: ReloadCause): Promise<void> {
    if (this.#running) this.#next = cause === 'SIGHUP' ? cause : (this.#next ?? cause);
    else {
      this.#running = this.#work(cause).finally(() => {
        this.#running = undefined;
      });
    }
    return this.#running;
  }

  /** What a worker has answered. */
  take(worker: ReloadingWorker, answer: Answer): void {
    const error = answer.kind === 'reloaded' ? answer.error : undefined;
    const round = this.#round;
    if (round?.kind === answer.kind && answer.revision === this.#revision && round.waiting.has(worker)) {
      if (error !== undefined) round.errors.push(`worker ${worker.index}: ${error}`);
      this.#leave(worker);
    } else if (error !== undefined && answer.revision === this.#revisionInForce) {
      // It started while the others applied it, and cannot: its successor starts with it, or tells why not.
      worker.kill();
    }
  }

  /** A worker that dies keeps nobody waiting: its successor is given what is in force. */
  exited(worker: ReloadingWorker): void {
    this.#leave(worker);
  }

  async #work(first: ReloadCause): Promise<void> {
    let cause: ReloadCause | undefined = first;
    while (cause) {
      this.#next = undefined;
      const outcome = await this.#reload(cause).catch((error: unknown) => this.#refuse(cause as ReloadCause, String(error)));
      this.#parts.onOutcome(outcome);
      // A worker was too busy, perhaps: the file will not change again because of that.
      if (outcome === 'failed') this.#parts.clock.after(RETRY_MS, () => void this.request('file'));
      cause = this.#next;
    }
  }

  async #reload(cause: ReloadCause): Promise<ReloadOutcome> {
    const { load, file, log, workers } = this.#parts;
    let loaded: LoadedConfig;
    try {
      loaded = load();
    } catch (error) {
      return this.#refuse(cause, error instanceof Error ? error.message : String(error));
    }
    const { config, kept, applied } = reloadConfig(this.#config, loaded.config);
    for (const option of kept) log.warn({ option }, 'a changed option needs a restart: it stays as it was');
    if (applied.length === 0) {
      if (cause === 'SIGHUP') log.info({ file }, 'SIGHUP: nothing to apply, the configuration is as it was');
      return 'unchanged';
    }
    // Race: whoever writes it has just emptied it. Taken at its word, all backends would be removed from under their sessions.
    if (loaded.isEmpty) return this.#refuse(cause, EMPTY);
    // With options that stayed as they were it may be another mixture than the one that was checked.
    const problems = checkStartable(config, { workers: resolveWorkers(config) });
    if (problems.length > 0) return this.#refuse(cause, configError(problems, file).message);
    for (const warning of loaded.warnings) log.warn(warning);

    this.#revision++;
    const taking = workers().filter((worker) => worker.hasStarted);
    const failures = await this.#ask('reloaded', taking, { kind: 'reload', revision: this.#revision, config }, PREPARE_MS);
    if (failures.length > 0) {
      log.error({ cause, file, reasons: failures }, 'the changed configuration was applied by no worker, since not all could');
      return 'failed';
    }
    await this.#putInForce(cause, config, { applied, taking, secrets: loaded.secrets });
    return 'applied';
  }

  async #putInForce(cause: ReloadCause, config: Config, { applied, taking, secrets }: Prepared) {
    const { log, workers } = this.#parts;
    const before = this.#config;
    // From here on a worker that is forked starts with it.
    this.#config = config;
    this.#secrets = secrets;
    log.level = config.log.level;
    const revision = this.#revision;
    this.#revisionInForce = revision;
    for (const worker of workers()) {
      if (taking.includes(worker)) continue;
      // Forked before: what it was started with is old by now.
      worker.send({ kind: 'reload', revision, config });
      worker.send({ kind: 'apply', revision });
    }
    const late = await this.#ask('applied', taking, { kind: 'apply', revision }, APPLY_MS);
    const changes = compareBackends(before, config);
    const shown = redactConfig(config, secrets).mcpServers;
    for (const name of [...changes.added, ...changes.changed]) {
      const backend = shown[name];
      const place =
        backend && 'url' in backend ? { url: backend.url } : backend && { command: [backend.command, ...backend.args] };
      log.info({ backend: name, ...place }, changes.added.includes(name) ? 'backend added' : 'backend changed');
    }
    log.info({ cause, revision, options: applied, backends: changes, late }, 'configuration applied');
  }

  #refuse(cause: ReloadCause, reason: string): 'refused' {
    this.#parts.log.error({ cause, file: this.#parts.file, reason }, 'the changed configuration is refused: nothing was applied');
    return 'refused';
  }

  /** @returns what went wrong; workers that died are none of it */
  async #ask(kind: Answer['kind'], asked: readonly ReloadingWorker[], message: ToWorker, withinMs: number): Promise<string[]> {
    const errors: string[] = [];
    const waiting = new Set(asked.filter((worker) => !worker.hasExited));
    const answered = new Promise<void>((done) => {
      this.#round = { kind, waiting, errors, done };
    });
    for (const worker of waiting) worker.send(message);
    if (waiting.size > 0) await Promise.race([answered, pause(this.#parts.clock, withinMs)]);
    this.#round = undefined;
    for (const { index } of waiting) errors.push(`worker ${index} did not answer within ${withinMs} ms`);
    return errors;
  }

  #leave(worker: ReloadingWorker): void {
    const round = this.#round;
    if (!round?.waiting.delete(worker)) return;
    if (round.waiting.size === 0) round.done();
  }
}
