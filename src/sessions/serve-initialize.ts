// Answers `initialize`: the gateway's own handshake with a client, from what is known of the backends. Backends are opened when they
// are first needed, not here.
import type { BackendInfo } from '../backends/backend.js';
import { acceptedTypes } from '../eras/legacy/accept.js';
import { LegacyCallAnswer } from '../eras/legacy/call-answer.js';
import { GatewayError } from '../errors/gateway-error.js';
import { resultText } from '../protocol/json-rpc.js';
import { SESSION_HEADER } from '../protocol/mcp.js';
import { mergeCapabilities, mergeInstructions } from '../servers/merge-info.js';
import type { VirtualServer } from '../servers/virtual-server.js';
import type { Exchange } from '../streams/exchange.js';
import type { SessionOpener } from './open-session.js';
import type { Session } from './session.js';
import { CallStreams } from './call-streams.js';
import { versionHeader } from './version-header.js';

export interface InitializeParts {
  readonly opener: SessionOpener;
  readonly findServer: (serverId: string) => VirtualServer | undefined;
  /** What any session of this worker last heard from the backend. */
  readonly infoOf: (backend: string) => BackendInfo | undefined;
  /** Of the package. */
  readonly version: string;
  readonly onStarted: () => void;
  /** Ends a session of which nobody knows the id. */
  readonly abandon: (session: Session) => void;
}

export class InitializeServer {
  readonly #parts: InitializeParts;

  constructor(parts: InitializeParts) {
    this.#parts = parts;
  }

  /**
   * @returns `unavailable`: the lease or Redis is away, nothing was opened: the caller is held
   * @throws GatewayError SERVER_NOT_FOUND, SESSION_CAP, PRINCIPAL_CAP, INVALID_PARAMS
   */
  async serve(exchange: Exchange): Promise<'done' | 'unavailable'> {
    const { opener, findServer, infoOf, version, onStarted } = this.#parts;
    const { body, note } = exchange;
    if (body?.kind !== 'request') throw new GatewayError('INVALID_REQUEST');
    const server = findServer(exchange.serverId);
    if (!server) throw new GatewayError('SERVER_NOT_FOUND');
    const session = await opener.open(server, exchange.principal, body.message);
    if (session === 'unavailable') return session;
    onStarted();
    note.session = session.facts.ref;
    note.owner = session.token.owner;
    note.epoch = session.token.epoch;
    // A caller that has left meanwhile will never use it: it would take a place until its idle time ends.
    if (exchange.aborted) {
      note.outcome = 'ABORTED';
      this.#parts.abandon(session);
      return 'done';
    }
    const infos = server.backends.map((backend) => ({ backend, info: infoOf(backend) }));
    const instructions = mergeInstructions(infos);
    const capabilities = mergeCapabilities(infos.map(({ info }) => info));
    const result = {
      protocolVersion: session.facts.protocolVersion,
      capabilities,
      serverInfo: { name: 'berth', title: server.id === '' ? 'Berth' : `Berth: ${server.id}`, version },
      ...(instructions ? { instructions } : {}),
    };
    const accepts = acceptedTypes(exchange.headers.accept);
    const headers = { ...versionHeader(session), [SESSION_HEADER]: session.facts.id };
    const { id } = body.message;
    const streams = new CallStreams(session, exchange, id, headers);
    new LegacyCallAnswer(exchange, accepts, headers, id, streams, () => undefined).message(
      resultText(id, JSON.stringify(result)),
      true,
    );
    return 'done';
  }
}
