import { METRIC_DOCS, Metrics, methodLabel } from '../../../src/observability/metrics.js';
import type { MetricSnapshot } from '../../../src/observability/families.js';

function readValue(
  snapshots: MetricSnapshot[],
  name: string,
  labels: Record<string, unknown>,
  metricName?: string,
): number | undefined {
  const family = snapshots.find((snapshot) => snapshot.name === name);
  return family?.values.find(
    (value) => JSON.stringify(value.labels) === JSON.stringify(labels) && value.metricName === metricName,
  )?.value;
}

describe('the metrics of a worker', () => {
  let metrics: Metrics;
  beforeEach(() => {
    metrics = new Metrics({ worker: 2, version: '1.2.3' });
  });
  afterEach(() => metrics.close());

  it('counts requests by method, route and outcome', () => {
    metrics.requests.inc('tools/call', 'local', 'ok');
    metrics.requests.inc('tools/call', 'local', 'ok');
    metrics.requests.inc('tools/call', 'forward', 'ok');
    const kept = metrics.requests.child('tools/call', 'local', 'tool_error');
    kept.inc();
    const labels = (route: string, outcome: string) => ({ method: 'tools/call', route, outcome });
    const all = metrics.snapshot();
    expect(readValue(all, 'berth_requests_total', labels('local', 'ok'))).toBe(2);
    expect(readValue(all, 'berth_requests_total', labels('forward', 'ok'))).toBe(1);
    expect(readValue(all, 'berth_requests_total', labels('local', 'tool_error'))).toBe(1);
  });

  it('shows counters without labels from the start, so that a first increase is seen as one', () => {
    expect(readValue(metrics.snapshot(), 'berth_takeovers_total', {})).toBe(0);
  });

  it('gives gauges of a worker its index', () => {
    metrics.sessions.measure(() => 7);
    expect(readValue(metrics.snapshot(), 'berth_sessions', { worker: 2 })).toBe(7);
    expect(readValue(metrics.snapshot(), 'berth_build_info', { version: '1.2.3' })).toBe(1);
  });

  it('puts a duration into its bucket and every wider one', () => {
    metrics.requestDuration.observe(0.004);
    metrics.requestDuration.observe(400);
    const all = metrics.snapshot();
    const bucket = (le: number | string) =>
      readValue(all, 'berth_request_duration_seconds', { le }, 'berth_request_duration_seconds_bucket');
    expect([bucket(0.0025), bucket(0.005), bucket(300), bucket('+Inf')]).toEqual([0, 1, 1, 2]);
    expect(readValue(all, 'berth_request_duration_seconds', {}, 'berth_request_duration_seconds_sum')).toBeCloseTo(400.004);
    expect(readValue(all, 'berth_request_duration_seconds', {}, 'berth_request_duration_seconds_count')).toBe(2);
  });

  it('keeps the number of label combinations bounded', () => {
    for (let i = 0; i < 3000; i += 1) metrics.backendErrors.inc('b', `reason ${i}`);
    const family = metrics.snapshot().find((snapshot) => snapshot.name === 'berth_backend_errors_total');
    expect(family?.values.length).toBe(1001);
    expect(family?.values.at(-1)).toMatchObject({ labels: { backend: 'other', reason: 'other' }, value: 2000 });
  });

  it('documents every metric that it sends, with its labels', () => {
    metrics.requests.inc('ping', 'local', 'ok');
    for (const snapshot of metrics.snapshot()) {
      const doc = METRIC_DOCS.find((entry) => entry.name === snapshot.name);
      expect(doc).toMatchObject({ help: snapshot.help, type: snapshot.type });
      for (const value of snapshot.values) {
        expect(
          Object.keys(value.labels)
            .filter((label) => label !== 'le')
            .sort(),
        ).toEqual([...(doc?.labels ?? [])].sort());
      }
    }
    // `workers` and what there is about reloads are the primary's.
    expect(metrics.snapshot().length).toBe(METRIC_DOCS.length - 3);
  });

  it('calls a method that it does not know "other"', () => {
    expect([methodLabel('tools/call'), methodLabel('GET'), methodLabel('x'.repeat(100))]).toEqual(['tools/call', 'GET', 'other']);
  });
});
