// Writes a gateway error to a caller, in the form that still fits what it has already got.
import { type GatewayError, retryHeader } from '../errors/gateway-error.js';
import { errorText } from '../protocol/json-rpc.js';
import { encodeEventId } from '../streams/event-id.js';
import { writeEvent } from '../streams/event-stream.js';
import { VERSION_HEADER } from '../protocol/mcp.js';
import { type Exchange, type Headers, requestIdOf } from '../streams/exchange.js';

/** The status of the catalog and a JSON-RPC error with the caller's id; on an open event stream a last event. */
export function writeError(exchange: Exchange, error: GatewayError): void {
  exchange.note.outcome = error.code;
  const { answer } = exchange;
  if (answer.finished) return;
  const text = errorText(requestIdOf(exchange), error.toJsonRpc());
  if (!answer.started) {
    const { protocolVersion } = exchange.note;
    const version: Headers = protocolVersion === undefined ? {} : { [VERSION_HEADER]: protocolVersion };
    answer.send(error.status, { 'content-type': 'application/json', ...version, ...retryHeader(error) }, text);
  } else if (answer.startedAsEvents) {
    // On a stream that answers no request the client cannot tell whom an error concerns; it comes again and is told then.
    if (exchange.method !== 'GET') writeEvent(answer, text, finalIdOf(exchange));
    answer.end();
  } else {
    answer.destroy();
  }
}

/** Says that the stream ends here, to whoever is asked to resume it. */
function finalIdOf(exchange: Exchange): string | undefined {
  const id = requestIdOf(exchange);
  const { session, epoch = 0 } = exchange.note;
  if (id === undefined || session === undefined) return undefined;
  return encodeEventId({ session, stream: { kind: 'call', id }, epoch, seq: Number.MAX_SAFE_INTEGER, isFinal: true });
}
