// A backend that speaks Streamable HTTP (legacy revisions): makes its sessions, and ends them for the teardown.
import type { BackendSessionRecord } from '../../directory/directory.js';
import { toGatewayError } from '../../errors/gateway-error.js';
import type { Backend, BackendInfo, BackendSession, BackendSessionHost, EndAnswer, EndTarget } from '../backend.js';
import { obtain } from '../credentials/credentials.js';
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
    const deadlineMs = transport.clock.monotonicMs() + timeoutMs;
    try {
      const credential = await obtain(transport.credentials, deadlineMs);
      const answer = await this.#end(target, deadlineMs, credential);
      if (credential === undefined || answer.kind !== 'status' || answer.status !== 401) return answer;
      // It did not run. The token may have been revoked an hour ago without anybody noticing: one more try with another one.
      transport.credentials.refuse(credential);
      const fresh = await transport.credentials.ensure(deadlineMs);
      return fresh === credential ? answer : await this.#end(target, deadlineMs, fresh);
    } catch (error) {
      return { kind: 'unreachable', reason: String(toGatewayError(error).details?.reason ?? 'failed') };
    }
  };

  async #end(target: EndTarget, deadlineMs: number, credential: string | undefined): Promise<EndAnswer> {
    const transport = this.#transport;
    const request = new ControlRequest(transport.control, transport.deadlines, {
      backend: this.name,
      method: 'DELETE',
      path: transport.path,
      // As with calls, configured headers in force win: credentials may have been replaced since it was opened.
      headers: endHeaders(
        { id: target.id, protocolVersion: target.protocolVersion, credential },
        { ...target.headers, ...transport.plan.fixed },
      ),
      refusal: () => undefined,
      deadlineMs,
    });
    const { status } = await request.reply;
    return { kind: 'status', status };
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }
}
