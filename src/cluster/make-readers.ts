// Who reads streams here, as metrics and the log tell it: of a GET one line at its begin and one at its end. A POST has its own line
// (request-log.ts); of its stream the end is told where that is not simply the answer.
import { type ReaderFacts, Readers } from '../streams/readers.js';
import type { WorkerBase } from './worker-base.js';

export function makeReaders({ live, clock, log, metrics }: Pick<WorkerBase, 'live' | 'clock' | 'log' | 'metrics'>): Readers {
  return new Readers({
    clock,
    maxStallMs: () => live.config.limits.slowReader,
    onOpened: (facts) => {
      if (facts.isGet) log.info(lineOf(facts), 'stream opened');
    },
    onGap: (facts) => log.info(lineOf(facts), 'stream has a gap'),
    onEnded: (facts, reason, durationMs) => {
      metrics.streamEnds.inc(reason);
      if (!facts.isGet && reason === 'complete') return;
      log.info({ ...lineOf(facts), reason, durationMs: Math.round(durationMs) }, 'stream ended');
    },
  });
}

function lineOf({ session, name, isGet }: ReaderFacts) {
  return { session, stream: name.kind, method: isGet ? 'GET' : 'POST' };
}
