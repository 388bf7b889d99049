// Tools of the strict backend: each shows one thing that a gateway can get wrong.
import type { ServerResponse } from 'node:http';
import type { RecordedRequest, StrictBackend } from './strict-backend.js';

/**
 * echo {text}: the text · count: calls of this tool in this backend session · whoami: session id and headers as seen ·
 * slow {ms}: answers late · progress {steps}: notifications before the result (SSE), under the token of the call or {token} · fail: isError · big {bytes}: a long text
 */
export function runTool(
  backend: StrictBackend,
  request: RecordedRequest,
  response: ServerResponse,
  session: { readonly id: string; count: number },
): void {
  const {
    name,
    arguments: args = {},
    _meta,
  } = (request.message.params ?? {}) as { name?: string; arguments?: Record<string, unknown>; _meta?: Record<string, unknown> };
  const reply = (text: string, more: object = {}) =>
    backend.reply(request, response, { content: [{ type: 'text', text }], ...more });
  switch (name) {
    case 'echo':
      reply(String(args.text ?? ''));
      return;
    case 'count':
      reply(String(++session.count));
      return;
    case 'whoami':
      reply(JSON.stringify({ session: request.sessionId, headers: request.headers }));
      return;
    case 'slow': {
      const timer = setTimeout(() => reply('late'), Number(args.ms ?? 100));
      response.on('close', () => clearTimeout(timer));
      return;
    }
    case 'fail':
      reply('it failed', { isError: true });
      return;
    case 'big':
      reply('x'.repeat(Number(args.bytes ?? 1_000_000)));
      return;
    case 'progress': {
      const steps = Array.from({ length: Number(args.steps ?? 3) }, (_, i) => ({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: args.token ?? _meta?.progressToken ?? 'p', progress: i + 1 },
      }));
      const result = { jsonrpc: '2.0', id: request.message.id, result: { content: [{ type: 'text', text: 'done' }] } };
      backend.send(response, [...steps, result]);
      return;
    }
    default:
      backend.send(response, [
        { jsonrpc: '2.0', id: request.message.id, error: { code: -32602, message: `Unknown tool ${name}` } },
      ]);
  }
}
