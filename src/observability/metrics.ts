// The metrics of one worker, all of them, in one place. The primary asks for snapshots and aggregates them.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { KNOWN_METHODS } from '../protocol/mcp.js';
import { CounterFamily, DurationHistogram, GaugeFamily, type MetricSnapshot } from './families.js';
import { metricDoc } from './metric-docs.js';

export { METRIC_DOCS } from './metric-docs.js';
export type { MetricSnapshot } from './families.js';

export type Route = 'local' | 'forward' | 'takeover' | 'none';

export interface MetricsOptions {
  /** Index of the worker, 1..n. */
  readonly worker: number;
  /** Of the package. */
  readonly version: string;
}

/** How often the event loop is looked at, ms; a rarer look costs less and still finds what users notice. */
const LAG_RESOLUTION_MS = 50;

/** What is no method of JSON-RPC. */
const OWN_METHODS: ReadonlySet<string> = new Set(['GET', 'DELETE', 'batch']);

/** The `method` label: what a client may send comes from a known list, anything else is `other`. */
export function methodLabel(method: string): string {
  return KNOWN_METHODS.has(method) || OWN_METHODS.has(method) ? method : 'other';
}

export class Metrics {
  readonly sessionStarts = new CounterFamily(metricDoc('session_starts_total'));
  readonly sessionEnds = new CounterFamily<[reason: string]>(metricDoc('session_ends_total'));
  readonly requests = new CounterFamily<[method: string, route: Route, outcome: string]>(metricDoc('requests_total'));
  readonly requestDuration = new DurationHistogram(metricDoc('request_duration_seconds'));
  readonly forwardDuration = new DurationHistogram(metricDoc('forward_duration_seconds'));
  readonly held = new CounterFamily<[outcome: string]>(metricDoc('held_total'));
  readonly takeovers = new CounterFamily(metricDoc('takeovers_total'));
  readonly fenced = new CounterFamily(metricDoc('fenced_total'));
  readonly clientRequests = new CounterFamily<[outcome: string]>(metricDoc('client_requests_total'));
  readonly backendReinitializations = new CounterFamily(metricDoc('backend_reinitializations_total'));
  readonly backendErrors = new CounterFamily<[backend: string, reason: string]>(metricDoc('backend_errors_total'));
  readonly backendUp = new GaugeFamily<[backend: string]>(metricDoc('backend_up'), {});
  readonly refused = new CounterFamily<[status: string, reason: string]>(metricDoc('refused_total'));
  readonly shed = new CounterFamily<[reason: string]>(metricDoc('shed_total'));
  readonly streamEnds = new CounterFamily<[reason: string]>(metricDoc('stream_ends_total'));
  readonly connectionsCut = new CounterFamily<[reason: string]>(metricDoc('connections_cut_total'));
  readonly internalRefused = new CounterFamily(metricDoc('internal_refused_total'));
  readonly teardownJobs = new GaugeFamily<[state: string]>(metricDoc('teardown_jobs'), {});
  readonly teardowns = new CounterFamily<[result: string]>(metricDoc('teardown_total'));
  readonly redisCommands = new CounterFamily(metricDoc('redis_commands_total'));
  readonly sessions: GaugeFamily;
  readonly backendSessions: GaugeFamily;
  readonly streams: GaugeFamily;
  readonly overloaded: GaugeFamily;
  readonly openRequests: GaugeFamily;
  readonly connections: GaugeFamily;
  readonly redisUp: GaugeFamily;
  readonly leaseRemaining: GaugeFamily;
  readonly #eventLoopLag: GaugeFamily;
  readonly #buildInfo = new GaugeFamily<[version: string]>(metricDoc('build_info'), {});
  readonly #loopDelay = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });

  constructor(options: MetricsOptions) {
    const worker = { worker: options.worker };
    this.sessions = new GaugeFamily(metricDoc('sessions'), worker);
    this.backendSessions = new GaugeFamily(metricDoc('backend_sessions'), worker);
    this.streams = new GaugeFamily(metricDoc('streams'), worker);
    this.overloaded = new GaugeFamily(metricDoc('overloaded'), worker);
    this.openRequests = new GaugeFamily(metricDoc('open_requests'), worker);
    this.connections = new GaugeFamily(metricDoc('connections'), worker);
    this.redisUp = new GaugeFamily(metricDoc('redis_up'), worker);
    this.leaseRemaining = new GaugeFamily(metricDoc('lease_remaining_seconds'), worker);
    this.#eventLoopLag = new GaugeFamily(metricDoc('event_loop_lag_seconds'), worker);
    this.#eventLoopLag.measure(() => this.#readLagSeconds());
    this.#buildInfo.set(1, options.version);
    this.#loopDelay.enable();
  }

  /** Everything, JSON-safe: what the worker sends to the primary. */
  snapshot(): MetricSnapshot[] {
    return [
      this.sessions,
      this.sessionStarts,
      this.sessionEnds,
      this.requests,
      this.requestDuration,
      this.forwardDuration,
      this.held,
      this.takeovers,
      this.fenced,
      this.backendSessions,
      this.backendReinitializations,
      this.clientRequests,
      this.backendErrors,
      this.backendUp,
      this.streams,
      this.streamEnds,
      this.connectionsCut,
      this.refused,
      this.shed,
      this.overloaded,
      this.openRequests,
      this.connections,
      this.internalRefused,
      this.teardownJobs,
      this.teardowns,
      this.redisUp,
      this.redisCommands,
      this.leaseRemaining,
      this.#eventLoopLag,
      this.#buildInfo,
    ].map((family) => family.snapshot());
  }

  /** Stops watching the event loop. */
  close(): void {
    this.#loopDelay.disable();
  }

  #readLagSeconds(): number {
    const longestMs = this.#loopDelay.max / 1e6;
    this.#loopDelay.reset();
    return Math.max(0, longestMs - LAG_RESOLUTION_MS) / 1000;
  }
}
