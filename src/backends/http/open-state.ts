// An open backend session as this worker holds it, and who waits for it to open.
import type { GatewayError } from '../../errors/gateway-error.js';
import type { BackendSessionRecord } from '../../directory/directory.js';
import type { Headers } from '../../streams/exchange.js';
import type { BackendInfo } from '../backend.js';
import { postHeaders } from './headers.js';

export interface OpenState {
  /** Grows with every initialize; tells a late answer about an old session from news about this one. */
  readonly generation: number;
  /** Exactly what the backend issued; undefined if it issued none. */
  readonly id: string | undefined;
  /** Configured and forwarded headers that initialized it. */
  readonly headers: Headers;
  /** Headers of a POST in it, prepared once; forwarded ones are added per request. */
  readonly post: string[];
  readonly info: BackendInfo;
}

export function makeOpenState(
  record: BackendSessionRecord,
  id: string | undefined,
  headers: Headers,
  fixed: Headers,
  info: BackendInfo,
): OpenState {
  const post = postHeaders({ id, protocolVersion: record.protocolVersion }, fixed);
  return { generation: record.generation, id, headers, post, info };
}

/** Hears exactly one of the two, unless it left before. */
export interface OpenWaiter {
  /** See BackendCall. */
  readonly isPreparation?: boolean;
  opened(state: OpenState): void;
  openFailed(error: GatewayError): void;
}
