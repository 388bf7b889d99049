// What a backend tells of itself at initialize, as JSON; the same on every transport.
import { isObject } from '../protocol/json-rpc.js';
import { type Capabilities, type Implementation, isLegacyVersion } from '../protocol/mcp.js';
import type { BackendInfo } from './backend.js';
import { unavailable } from './failures.js';

/**
 * @param result of the answer to initialize
 * @throws GatewayError BACKEND_UNAVAILABLE: bad_reply, unsupported_version
 */
export function readInitializeResult(backend: string, result: unknown): BackendInfo {
  if (!isObject(result)) throw unavailable(backend, 'bad_reply');
  const { protocolVersion, capabilities, serverInfo, instructions } = result;
  if (!isLegacyVersion(protocolVersion)) throw unavailable(backend, 'unsupported_version');
  return {
    protocolVersion,
    capabilities: isObject(capabilities) ? (capabilities as Capabilities) : {},
    ...(isObject(serverInfo) ? { serverInfo: serverInfo as Implementation } : {}),
    ...(typeof instructions === 'string' ? { instructions } : {}),
  };
}
