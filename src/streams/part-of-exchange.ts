// An exchange made of another one, whose caller it shares: a request of a batch, the rest of an answer.
import type { Exchange, ExchangeNote, RequestBody } from './exchange.js';

/** Everything that is one caller's, whatever is asked on his behalf. */
export abstract class PartOfExchange implements Exchange {
  abstract readonly method: Exchange['method'];
  abstract readonly body: RequestBody | undefined;
  abstract readonly hop: Exchange['hop'];
  abstract readonly note: ExchangeNote;
  readonly serverId: string;
  readonly headers: Exchange['headers'];
  readonly principal: Exchange['principal'];
  readonly deadlineMs: number;
  readonly startedMs: number;
  readonly answer: Exchange['answer'];
  protected readonly whole: Exchange;

  constructor(whole: Exchange) {
    this.whole = whole;
    this.serverId = whole.serverId;
    this.headers = whole.headers;
    this.principal = whole.principal;
    this.deadlineMs = whole.deadlineMs;
    this.startedMs = whole.startedMs;
    this.answer = whole.answer;
  }

  get aborted(): boolean {
    return this.whole.aborted;
  }

  onAbort(listener: () => void): void {
    this.whole.onAbort(listener);
  }
}
