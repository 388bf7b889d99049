// One request on its way through this worker, as the parts that serve it hand it on.
import type { LegacyCallAnswer } from '../eras/legacy/call-answer.js';
import type { Exchange, RequestBody } from '../streams/exchange.js';
import type { Session } from './session.js';

export type RequestOf = Extract<RequestBody, { kind: 'request' }>;

export interface Serving {
  readonly session: Session;
  readonly exchange: Exchange;
  readonly body: RequestOf;
  readonly answer: LegacyCallAnswer;
}
