// Writes a gateway error to a caller, in the form that still fits what it has already got.
import { type GatewayError, retryHeader } from '../errors/gateway-error.js';
import { errorText, type RequestId } from '../protocol/json-rpc.js';
import { encodeEventId } from '../streams/event-id.js';
import { writeEvent } from '../streams/event-stream.js';
import { VERSION_HEADER } from '../protocol/mcp.js';
import { type Exchange, type Headers, requestIdOf } from '../streams/exchange.js';

/** The status of the catalog and a JSON-RPC error with the caller's id; on an open event stream a last event. */
export function writeError(exchange: Exchange, error: GatewayError): void {
  exchange.note.outcome = error.code;
  const { answer } = exchange;
  if (answer.finished) return;
  const texts = idsOf(exchange, error)?.map((id) => errorText(id, error.toJsonRpc()));
  if (!texts) {
    answer.destroy();
  } else if (!answer.started) {
    const { protocolVersion } = exchange.note;
    const version: Headers = protocolVersion === undefined ? {} : { [VERSION_HEADER]: protocolVersion };
    const body = exchange.body?.kind === 'batch' && isOfRequests(error) ? `[${texts.join(',')}]` : texts[0];
    answer.send(error.status, { 'content-type': 'application/json', ...version, ...retryHeader(error) }, body);
  } else if (answer.startedAsEvents) {
    // On a stream that answers no request the client cannot tell whom an error concerns; it comes again and is told then.
    if (exchange.method !== 'GET' || exchange.awaits !== undefined)
      for (const text of texts) writeEvent(answer, text, finalIdOf(exchange));
    answer.end();
  } else {
    answer.destroy();
  }
}

/** Whether it rides on 200 as the answer to requests; any other is the answer to the POST. */
function isOfRequests(error: GatewayError): boolean {
  return error.status === 200;
}

/** Who is to hear of it: of a batch every request that has no answer yet. Undefined: it cannot be told which those are. */
function idsOf(exchange: Exchange, error: GatewayError): ReadonlyArray<RequestId | undefined> | undefined {
  const { answer, body, unanswered } = exchange;
  if (body?.kind !== 'batch' || !(answer.started || isOfRequests(error))) return [requestIdOf(exchange)];
  return answer.started ? unanswered?.finish() : body.ids;
}

/** Says that the stream ends here, to whoever is asked to resume it. */
function finalIdOf(exchange: Exchange): string | undefined {
  const id = requestIdOf(exchange);
  const { session, epoch = 0 } = exchange.note;
  if (id === undefined || session === undefined) return undefined;
  return encodeEventId({ session, stream: { kind: 'call', id }, epoch, seq: Number.MAX_SAFE_INTEGER, isFinal: true });
}
