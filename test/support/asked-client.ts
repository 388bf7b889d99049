// Stands for the client behind a backend session's host: keeps what it is asked, and answers when the test says so.
import type { BackendAsk, BackendSessionHost } from '../../src/backends/backend.js';
import type { JsonRpcErrorObject, RequestId } from '../../src/protocol/json-rpc.js';

export class AskedClient {
  readonly asked: BackendAsk[] = [];
  readonly withdrawn: RequestId[] = [];
  readonly forgotten: RequestId[] = [];
  /** Instead of being asked. */
  refusal: JsonRpcErrorObject | undefined;

  constructor(host: BackendSessionHost) {
    const methods: Partial<BackendSessionHost> = {
      clientCapabilities: { sampling: {}, roots: { listChanged: true } },
      ask: (question) => {
        if (!this.refusal) this.asked.push(question);
        return this.refusal;
      },
      withdraw: (id) => {
        this.withdrawn.push(id);
        if (!this.asked.some((one) => one.id === id)) return undefined;
        return JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: `ours-${id}` } });
      },
      forget: (id) => void this.forgotten.push(id),
    };
    Object.assign(host, methods);
  }

  /** Answers the last question. */
  answer(result: object): Promise<void> {
    const { id, from } = this.asked.at(-1) as BackendAsk;
    return from.respond(id, JSON.stringify({ jsonrpc: '2.0', id, result }), {});
  }
}
