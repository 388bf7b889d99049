// One line and one count a request, where the caller is; the owner's side of a hop tells the same at `debug`.
import type { Clock } from '../lifecycle/clock.js';
import { type Logger, makePlainLines } from '../observability/log.js';
import { type Metrics, methodLabel } from '../observability/metrics.js';
import type { Exchange } from '../streams/exchange.js';

export function makeRequestLog(log: Logger, metrics: Metrics, clock: Clock): (exchange: Exchange) => void {
  const write = makePlainLines(log, 'request');
  return (exchange) => {
    if (exchange.hop && !log.isLevelEnabled('debug')) return;
    const { note } = exchange;
    const durationMs = clock.monotonicMs() - exchange.startedMs;
    const method = methodLabel(note.method);
    const line = {
      method,
      server: exchange.serverId,
      route: note.route,
      outcome: note.outcome,
      session: note.session,
      owner: note.owner,
      epoch: note.epoch,
      backend: note.backend,
      durationMs: Math.round(durationMs * 10) / 10,
    };
    if (exchange.hop) {
      log.debug(line, 'forwarded request');
      return;
    }
    metrics.requests.inc(method, note.route, note.outcome);
    // A stream that was open for hours is no slow request.
    if (exchange.method !== 'GET') metrics.requestDuration.observe(durationMs / 1000);
    write(line);
  };
}
