// initialize on one channel: asks, and reads what the backend tells of itself.
import type { GatewayError } from '../../errors/gateway-error.js';
import { isObject } from '../../protocol/json-rpc.js';
import { type Capabilities, type Implementation, LATEST_LEGACY_VERSION } from '../../protocol/mcp.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendInfo, CallSink } from '../backend.js';
import { timedOut, unavailable } from '../failures.js';
import { readInitializeResult } from '../initialize-result.js';
import type { Channel } from './channel.js';

export interface InitializePlan {
  readonly backend: string;
  readonly channel: Channel;
  readonly clientInfo: Implementation;
  /** What the client can be asked. */
  readonly capabilities: Capabilities;
  /** Headers of the client that may be passed on. */
  readonly headers: Headers;
  /** Monotonic. */
  readonly deadlineMs: number;
}

/** @throws GatewayError BACKEND_UNAVAILABLE, BACKEND_TIMEOUT, NOT_OWNER, or what the channel was closed with */
export async function initialize(plan: InitializePlan): Promise<BackendInfo> {
  const { backend, channel, clientInfo, capabilities, headers, deadlineMs } = plan;
  const params = { protocolVersion: LATEST_LEGACY_VERSION, capabilities, clientInfo };
  const message = { jsonrpc: '2.0' as const, id: 0, method: 'initialize', params };
  const text = await new Promise<string>((resolve, reject) => {
    const sink: CallSink = {
      resume: undefined,
      message(json, final) {
        if (final) resolve(json.toString());
        return true;
      },
      bodyStart: () => undefined,
      bodyChunk: () => true,
      bodyEnd: () => undefined,
      fail: (error) => reject(explain(backend, error)),
    };
    channel.call({ message, bytes: JSON.stringify(message), headers, deadlineMs, sink }, Number.POSITIVE_INFINITY);
  });
  return readAnswer(backend, text);
}

/** No call ran yet, so nothing is unknown. */
function explain(backend: string, error: GatewayError): GatewayError {
  if (error.code === 'BACKEND_TIMEOUT') return timedOut(backend, { step: 'initialize' });
  if (error.code !== 'OUTCOME_UNKNOWN') return error;
  return unavailable(backend, String(error.details?.reason), { step: 'initialize' }, error.cause);
}

function readAnswer(backend: string, text: string): BackendInfo {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    throw unavailable(backend, 'bad_reply');
  }
  if (isObject(message) && isObject(message.error)) {
    const { code, message: said } = message.error;
    throw unavailable(backend, 'initialize_refused', { code, answer: String(said).slice(0, 200) });
  }
  return readInitializeResult(backend, isObject(message) ? message.result : undefined);
}
