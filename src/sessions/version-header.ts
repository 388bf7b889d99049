import { VERSION_HEADER } from '../protocol/mcp.js';
import type { Headers } from '../streams/exchange.js';
import type { Session } from './session.js';

/** Every answer in a session carries the version that the session negotiated. */
export function versionHeader(session: Session): Headers {
  return { [VERSION_HEADER]: session.facts.protocolVersion };
}
