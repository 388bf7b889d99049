// Serves logging/setLevel, resources/subscribe and resources/unsubscribe: what they ask for stands until it is taken back, also at backend
// sessions that are opened later (standing-requests.ts).
import type { OwnRequests } from '../backends/own-requests.js';
import { GatewayError, toGatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import { errorText, type JsonRpcErrorObject, type JsonRpcResponse, resultText } from '../protocol/json-rpc.js';
import { withoutServerId } from '../servers/inject-server-id.js';
import { canSubscribe } from '../servers/merge-info.js';
import type { SessionBackends } from './session-backends.js';
import type { SessionCatalogs } from './session-catalogs.js';
import type { Serving } from './serving.js';
import type { StandingRequests } from './standing-requests.js';

export interface StandingServerParts {
  readonly clock: Clock;
  readonly sessionBackends: Pick<SessionBackends, 'get'>;
  readonly catalogs: Pick<SessionCatalogs, 'findResource'>;
  readonly ownRequests: Pick<OwnRequests, 'request'>;
  readonly standing: StandingRequests;
}

const LEVELS: ReadonlySet<unknown> = new Set(['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']);
/** A backend that takes longer is told when it is open. */
const LEVEL_MS = 15_000;
const EMPTY_RESULT = '{}';

export class StandingServer {
  readonly #parts: StandingServerParts;

  constructor(parts: StandingServerParts) {
    this.#parts = parts;
  }

  /**
   * Asked of every backend of the server that logs. One that refuses or is away does not fail the others, and hears of it when it opens;
   * if all fail, nothing is set and the client is told why.
   */
  async setLevel(serving: Serving): Promise<void> {
    const { session, exchange, body } = serving;
    const { clock, standing } = this.#parts;
    const { params = {} } = withoutServerId(body.message);
    const { level } = params;
    if (typeof level !== 'string' || !LEVELS.has(level)) {
      throw new GatewayError('BAD_ARGUMENT', { message: `params.level must be one of ${[...LEVELS].join(', ')}` });
    }
    const ours = standing.of(session);
    const before = ours.level;
    // First: a backend that opens meanwhile is told by that.
    ours.level = level;
    ours.told.clear();
    const deadlineMs = Math.min(exchange.deadlineMs, clock.monotonicMs() + LEVEL_MS);
    const { backends } = session.facts.server;
    const outcomes = await Promise.all(backends.map((name) => this.#tellLevel(serving, name, params, deadlineMs)));
    const failures = outcomes.filter((outcome) => outcome !== undefined);
    const [failure] = failures;
    if (failure && failures.length === backends.length) {
      if (ours.level === level) ours.level = before;
      this.#refuse(serving, failure);
      return;
    }
    await standing.changed(session);
    this.#answer(serving, EMPTY_RESULT);
  }

  async subscribe(serving: Serving): Promise<void> {
    const { session, answer, body } = serving;
    const { standing } = this.#parts;
    const uri = uriOf(serving);
    const name = await this.#parts.catalogs.findResource(session, uri, serving.exchange);
    const backend = await this.#open(serving, name);
    if (answer.ended) return;
    const ours = standing.of(session);
    // First: a backend session that takes the place of this one meanwhile is asked for it, too.
    const isNew = ours.subscribe(name, uri);
    let response: JsonRpcResponse | undefined;
    try {
      response = await this.#ask(serving, backend, body.message.method);
    } finally {
      if (isNew && (!response || response.error)) ours.unsubscribe(name, uri);
    }
    if (!response.error) await standing.changed(session);
    this.#pass(serving, response);
  }

  async unsubscribe(serving: Serving): Promise<void> {
    const { session, answer, body } = serving;
    const { standing, catalogs } = this.#parts;
    const uri = uriOf(serving);
    const ours = standing.of(session);
    // Where it was subscribed, also if that backend does not list it any more.
    const name = ours.backendOf(uri) ?? (await catalogs.findResource(session, uri, serving.exchange));
    // First: whatever becomes of the request, it is not asked for again.
    if (!answer.ended && ours.unsubscribe(name, uri)) await standing.changed(session);
    const backend = await this.#open(serving, name);
    if (answer.ended) return;
    this.#pass(serving, await this.#ask(serving, backend, body.message.method));
  }

  /** @returns why it was not told; undefined if it was, or does not log */
  async #tellLevel(
    { session, exchange }: Serving,
    name: string,
    params: Record<string, unknown>,
    deadlineMs: number,
  ): Promise<GatewayError | JsonRpcErrorObject | undefined> {
    const { sessionBackends, ownRequests, standing } = this.#parts;
    const backend = sessionBackends.get(session, name);
    if (!backend) return undefined;
    const { headers } = exchange;
    try {
      const { capabilities } = await backend.open(deadlineMs, headers);
      const { told } = standing.of(session);
      if (!capabilities.logging || told.get(name) === params.level) return undefined;
      const { error } = await ownRequests.request(backend, { method: 'logging/setLevel', params, headers, deadlineMs });
      if (!error) told.set(name, String(params.level));
      return error;
    } catch (error) {
      return toGatewayError(error);
    }
  }

  async #open({ session, exchange, body }: Serving, name: string) {
    const backend = this.#parts.sessionBackends.get(session, name);
    if (!backend) throw new GatewayError('BACKEND_UNAVAILABLE', { details: { backend: name, reason: 'removed' } });
    exchange.note.backend = name;
    // Strict backends fail on methods of capabilities that they did not declare.
    if (!canSubscribe(await backend.open(exchange.deadlineMs, exchange.headers))) {
      throw new GatewayError('METHOD_NOT_FOUND', { details: { method: body.message.method, backend: name } });
    }
    return backend;
  }

  #ask({ exchange, body }: Serving, backend: Parameters<OwnRequests['request']>[0], method: string): Promise<JsonRpcResponse> {
    const { params = {} } = withoutServerId(body.message);
    const { headers, deadlineMs } = exchange;
    return this.#parts.ownRequests.request(backend, { method, params, headers, deadlineMs });
  }

  #refuse(serving: Serving, failure: GatewayError | JsonRpcErrorObject): void {
    if (failure instanceof GatewayError) throw failure;
    serving.answer.message(errorText(serving.body.message.id, failure), true);
  }

  #pass(serving: Serving, { error, result }: JsonRpcResponse): void {
    if (error) this.#refuse(serving, error);
    else this.#answer(serving, JSON.stringify(result ?? {}));
  }

  #answer({ body, answer }: Serving, resultJson: string): void {
    answer.message(resultText(body.message.id, resultJson), true);
  }
}

function uriOf({ body }: Serving): string {
  const uri = body.message.params?.uri;
  if (typeof uri !== 'string') throw new GatewayError('BAD_ARGUMENT', { message: 'params.uri must be a string' });
  return uri;
}
