// A backend that speaks Streamable HTTP (legacy revisions): makes its sessions, and ends them for the teardown.
import type { BackendSessionRecord } from '../../directory/directory.js';
import { toGatewayError } from '../../errors/gateway-error.js';
import type { Backend, BackendInfo, BackendSession, BackendSessionHost, EndAnswer, EndTarget } from '../backend.js';
import { ControlRequest } from './control-request.js';
import { endHeaders } from './headers.js';
import { HttpBackendSession } from './http-session.js';
import { type HttpBackendOptions, HttpTransport } from './transport.js';

export class HttpBackend implements Backend {
  readonly name: string;
  readonly #transport: HttpTransport;

  /** @throws Error if a configured header or lostSessionPattern cannot be used; names it, never its value */
  constructor(options: HttpBackendOptions) {
    this.name = options.name;
    this.#transport = new HttpTransport(options);
  }

  get lastInfo(): BackendInfo | undefined {
    return this.#transport.lastInfo;
  }

  createSession(host: BackendSessionHost, record: BackendSessionRecord | undefined): BackendSession {
    return new HttpBackendSession(this.#transport, host, record);
  }

  /** One DELETE. No guard: teardown is run by any worker, after the session has ended. */
  readonly end = async (target: EndTarget, timeoutMs: number): Promise<EndAnswer> => {
    const transport = this.#transport;
    const request = new ControlRequest(transport.control, transport.deadlines, {
      backend: this.name,
      method: 'DELETE',
      path: transport.path,
      // As with calls, configured headers in force win: credentials may have been replaced since it was opened.
      headers: endHeaders(target, { ...target.headers, ...transport.plan.fixed }),
      refusal: () => undefined,
      deadlineMs: transport.clock.monotonicMs() + timeoutMs,
    });
    try {
      const { status } = await request.reply;
      return { kind: 'status', status };
    } catch (error) {
      return { kind: 'unreachable', reason: String(toGatewayError(error).details?.reason ?? 'failed') };
    }
  };

  async close(): Promise<void> {
    await this.#transport.close();
  }
}
