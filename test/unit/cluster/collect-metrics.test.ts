import { COLLECT_MS, MetricsCollector, type MetricsSource } from '../../../src/cluster/collect-metrics.js';
import type { ToWorker } from '../../../src/cluster/messages.js';
import { Metrics } from '../../../src/observability/metrics.js';
import { FakeClock } from '../../support/fake-clock.js';

class Source implements MetricsSource {
  readonly asked: ToWorker[] = [];
  readonly metrics: Metrics;
  isReady = true;

  constructor(worker: number) {
    this.metrics = new Metrics({ worker, version: '1' });
    this.metrics.close();
  }

  send(message: ToWorker): void {
    this.asked.push(message);
  }
}

function setUp() {
  const clock = new FakeClock();
  const sources = [new Source(1), new Source(2)] as [Source, Source];
  const living: Source[] = [...sources];
  const collector = new MetricsCollector({ sources: () => living, configured: 2, clock });
  const answer = (source: Source) => collector.take(source, JSON.parse(JSON.stringify(source.metrics.snapshot())));
  return { clock, sources, living, collector, answer };
}

describe('collecting metrics', () => {
  it('is done as soon as all have answered, without waiting', async () => {
    const { collector, sources, answer, clock } = setUp();
    for (const source of sources) source.metrics.requests.inc('ping', 'local', 'ok');
    const scrape = collector.scrape();
    for (const source of sources) answer(source);
    const { text, reporting } = await scrape;
    expect(reporting).toBe(2);
    expect(text).toContain('berth_requests_total{method="ping",route="local",outcome="ok"} 2');
    expect(clock.pendingTimers).toBe(0);
  });

  it('asks a worker that hangs only once, however often it is scraped', async () => {
    const { collector, sources, answer, clock } = setUp();
    for (let round = 0; round < 3; round += 1) {
      const scrape = collector.scrape();
      answer(sources[0]);
      clock.advance(COLLECT_MS);
      expect((await scrape).reporting).toBe(1);
    }
    expect(sources[0].asked).toHaveLength(3);
    expect(sources[1].asked).toHaveLength(1);
  });

  it('shares one collection among scrapes at the same time', async () => {
    const { collector, sources, answer } = setUp();
    const scrapes = [collector.scrape(), collector.scrape()];
    for (const source of sources) answer(source);
    const [first, second] = await Promise.all(scrapes);
    expect(first).toBe(second);
    expect(sources[0].asked).toHaveLength(1);
  });

  it('counts a worker once whose last answer comes after its end', async () => {
    const { collector, sources, living, answer } = setUp();
    for (const source of sources) {
      source.metrics.takeovers.inc();
      answer(source);
    }
    const scrape = collector.scrape();
    living.splice(1, 1);
    await collector.forget(sources[1]);
    // Node tells of the end of a process before the last messages in its channel.
    answer(sources[1]);
    answer(sources[0]);
    expect((await scrape).text).toContain('berth_takeovers_total 2');
  });

  it('does not wait for a worker that dies meanwhile, and keeps its counters but not its gauges', async () => {
    const { collector, sources, living, answer } = setUp();
    const [first, second] = sources;
    for (const source of sources) {
      source.metrics.takeovers.inc();
      source.metrics.sessions.set(5);
      source.metrics.requestDuration.observe(0.2);
      answer(source);
    }
    const scrape = collector.scrape();
    answer(first);
    living.splice(1, 1);
    await collector.forget(second);
    const { text, reporting } = await scrape;
    expect(reporting).toBe(1);
    expect(text).toContain('berth_takeovers_total 2');
    expect(text).toContain('berth_request_duration_seconds_count 2');
    expect(text).toContain('berth_sessions{worker="1"} 5');
    expect(text).not.toContain('berth_sessions{worker="2"}');
  });

  it('adds up the counters of all who died, also of several at once', async () => {
    const { collector, sources, living, answer } = setUp();
    for (const source of sources) {
      source.metrics.takeovers.inc();
      answer(source);
    }
    living.splice(0);
    await Promise.all(sources.map((source) => collector.forget(source)));
    const third = new Source(1);
    third.metrics.takeovers.inc();
    living.push(third);
    const scrape = collector.scrape();
    answer(third);
    const { text } = await scrape;
    expect(text).toContain('berth_takeovers_total 3');
    expect(text.match(/^# TYPE berth_takeovers_total/gm)).toHaveLength(1);
  });
});
