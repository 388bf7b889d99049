import { waitFor } from '../../support/wait-for.js';
import { type LaunchedPrimary, launchPrimary } from './fixtures/launch-primary.js';

describe('one scrape of the admin port', () => {
  let primary: LaunchedPrimary;
  afterEach(() => primary.dispose());

  async function scrape() {
    const startedMs = performance.now();
    const answer = await fetch(primary.adminUrl('/metrics'));
    const text = await answer.text();
    return {
      status: answer.status,
      reporting: answer.headers.get('x-berth-workers-reporting'),
      tookMs: performance.now() - startedMs,
      lines: text.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
      text,
    };
  }

  it('covers all workers: counters added up, gauges by worker', async () => {
    primary = await launchPrimary();
    await primary.untilReady();
    const { status, lines, text, reporting } = await scrape();
    expect(status).toBe(200);
    expect(reporting).toBe('2/2');
    expect(lines).toEqual(
      expect.arrayContaining([
        'berth_workers{state="configured"} 2',
        'berth_workers{state="ready"} 2',
        'berth_workers{state="reporting"} 2',
        'berth_sessions{worker="1"} 1',
        'berth_sessions{worker="2"} 2',
        'berth_session_starts_total 2',
        'berth_build_info{version="fixture"} 1',
        'berth_request_duration_seconds_bucket{le="+Inf"} 0',
      ]),
    );
    expect(text).toContain('# TYPE berth_request_duration_seconds histogram');
  });

  it('answers in little more than a second when a worker hangs, and says how many reported', async () => {
    primary = await launchPrimary();
    await primary.untilReady();
    await scrape();
    const [hung] = primary.workers() as [number, number];
    process.kill(hung, 'SIGSTOP');
    const { reporting, lines, tookMs } = await scrape();
    expect(tookMs).toBeGreaterThan(900);
    expect(tookMs).toBeLessThan(2000);
    expect(reporting).toBe('1/2');
    expect(lines).toContain('berth_workers{state="reporting"} 1');
    expect(lines.filter((line) => line.startsWith('berth_sessions{'))).toHaveLength(1);
    // Falling, it would look like a restart, and all would be counted again.
    expect(lines).toContain('berth_session_starts_total 2');
    // The admin port is free while a scrape waits.
    const waiting = scrape();
    expect((await fetch(primary.adminUrl('/livez'))).status).toBe(200);
    await waiting;

    process.kill(hung, 'SIGCONT');
    await waitFor('the worker to report again', async () => (await scrape()).reporting === '2/2');
  });

  it('keeps what a dead worker had counted', async () => {
    primary = await launchPrimary();
    await primary.untilReady();
    await scrape();
    process.kill(primary.workers()[0] as number, 'SIGKILL');
    await waitFor('its successor to report', async () => {
      const { lines } = await scrape();
      return lines.includes('berth_session_starts_total 3') && lines.includes('berth_workers{state="reporting"} 2');
    });
  });
});
