// The initialize of the clients that measure.
import { message } from '../bench/calls.mjs';

/** @returns opens a session over an HttpConnection, and says its id */
export function sessionOpener(accept, protocolVersion) {
  const headers = `content-type: application/json\r\naccept: ${accept}\r\n`;
  const clientInfo = { name: 'measure', version: '1.0.0' };
  const body = message(1, 'initialize', { protocolVersion, capabilities: {}, clientInfo });
  return async (http) => {
    const answer = await http.send('POST', '/mcp', headers, body);
    if (answer.status !== 200 || !answer.sessionId) throw new Error(`initialize: ${answer.status} ${answer.body}`);
    return answer.sessionId;
  };
}
