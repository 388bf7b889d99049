// Every metric by name, type, labels and meaning: what dashboards and alerts rely on. The metrics page of the docs is made from it.
// Labels hold worker indexes, methods of the protocol, names from the configuration and words of our own: nothing unbounded.
import type { Aggregation, FamilyDoc } from './families.js';

function counter<L extends string>(help: string, ...labels: L[]) {
  return { type: 'counter' as const, help, labels, aggregator: 'sum' as Aggregation };
}

/** By worker: each worker has a line of its own, nothing is added up. */
function byWorker(help: string) {
  return { type: 'gauge' as const, help, labels: ['worker'], aggregator: 'sum' as Aggregation };
}

function gauge(aggregator: Aggregation, help: string, ...labels: string[]) {
  return { type: 'gauge' as const, help, labels, aggregator };
}

function histogram(help: string) {
  return { type: 'histogram' as const, help, labels: [] as string[], aggregator: 'sum' as Aggregation };
}

const families = {
  sessions: byWorker('Sessions that the worker owns.'),
  session_starts_total: counter('Sessions opened.'),
  session_ends_total: counter('Sessions ended, by reason.', 'reason'),
  requests_total: counter('Requests answered, by method, by the way they took and by outcome.', 'method', 'route', 'outcome'),
  request_duration_seconds: histogram('From a request to its whole answer, as the edge saw it; streams of GET not counted.'),
  forward_duration_seconds: histogram(
    'From a forwarded request to its whole answer, as the forwarding worker saw it; streams of GET not counted.',
  ),
  held_total: counter('Requests that waited for an owner or for Redis, by how the wait ended.', 'outcome'),
  takeovers_total: counter('Sessions claimed from an owner that had died or released them.'),
  fenced_total: counter('Acts refused because the session was no longer ours.'),
  backend_sessions: byWorker('Backend sessions open in the worker.'),
  backend_reinitializations_total: counter('Backend sessions opened anew because the backend had lost them.'),
  client_requests_total: counter(
    'Questions of backends to clients and their answers, by outcome: held (no stream yet), asked, undeclared, nobody (no stream), busy, withdrawn, unanswered, answered, dropped, unknown.',
    'outcome',
  ),
  backend_errors_total: counter('Errors of backends, by backend and reason.', 'backend', 'reason'),
  backend_up: gauge('min', '0 while a worker of the pod takes the backend for down, else 1.', 'backend'),
  streams: byWorker(
    'Event streams open to clients but those of batches, also through other workers, of the sessions that the worker owns.',
  ),
  stream_ends_total: counter(
    'Readers of event streams, but those of batches, that left, by reason: complete, left (closed by the client), replaced, slow, moved, away, ended (the session).',
    'reason',
  ),
  connections_cut_total: counter(
    'Connections closed by us, by reason: stalled, memory (their clients did not read, alone or all together), excess (there were too many).',
    'reason',
  ),
  refused_total: counter('Requests refused before anything was executed, by HTTP status and reason.', 'status', 'reason'),
  shed_total: counter(
    'Requests refused for want of room, by reason: queue (they would have waited too long), requests, principal, bodies, connections. Each of them is in refused_total of the same worker, too.',
    'reason',
  ),
  overloaded: byWorker('1 while the worker refuses requests because others wait for it too long, else 0.'),
  open_requests: byWorker(
    'Requests under way in the worker, those that others forwarded to it and each of a batch included; streams of GET not counted.',
  ),
  connections: byWorker('Connections of clients that the worker holds.'),
  internal_refused_total: counter('Connections and requests that the internal listener refused.'),
  teardown_jobs: gauge(
    'max',
    'Jobs in the teardown queue of the cluster, by state; failed: given up (docs/admin-api.md).',
    'state',
  ),
  teardown_total: counter('Attempts of teardown jobs, by result; refused, exhausted and unknown_backend are given up.', 'result'),
  redis_up: byWorker('1 while Redis answers the worker, else 0.'),
  redis_commands_total: counter('Commands sent to Redis.'),
  lease_remaining_seconds: byWorker('How long the lease of the worker is still valid.'),
  event_loop_lag_seconds: byWorker('Longest delay of the event loop since the last collection.'),
  workers: gauge('sum', 'Workers of this pod, by state: configured, ready, reporting (in this scrape).', 'state'),
  config_reloads_total: counter(
    'Reloads of the configuration, by outcome: applied, unchanged, refused (the file is bad), failed (a worker could not).',
    'outcome',
  ),
  config_applied_timestamp_seconds: gauge(
    'max',
    'When the configuration in force was applied by a reload or the start, Unix time.',
  ),
  build_info: gauge('max', 'Always 1; the label says the version.', 'version'),
} as const satisfies Record<string, Omit<FamilyDoc, 'name'>>;

export type MetricName = keyof typeof families;

export const METRIC_PREFIX = 'berth_';

/** For the docs script; names carry the prefix. */
export const METRIC_DOCS: readonly FamilyDoc[] = (Object.keys(families) as MetricName[]).map(metricDoc);

export function metricDoc(name: MetricName): FamilyDoc {
  return { name: METRIC_PREFIX + name, ...families[name] };
}
