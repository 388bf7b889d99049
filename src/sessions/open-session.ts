// Opens a session for `initialize`: mints the id, takes its places under the caps, writes the record. The order is rule 11's: a crash
// between any two steps leaves a member without a record, which the sweep removes within a minute.
import { type Directory, DirectoryUnavailable, type SessionRecord } from '../directory/directory.js';
import { GatewayError } from '../errors/gateway-error.js';
import type { Clock } from '../lifecycle/clock.js';
import { type Epoch, mintNonce, mintSessionId, type OwnerToken, referenceOf } from '../protocol/ids.js';
import { isObject, type JsonRpcRequest } from '../protocol/json-rpc.js';
import { isLegacyVersion, LATEST_LEGACY_VERSION } from '../protocol/mcp.js';
import { goneServer, type VirtualServer } from '../servers/virtual-server.js';
import type { Principal } from '../streams/exchange.js';
import type { LeaseKeeper } from './lease-keeper.js';
import { Session } from './session.js';
import type { SessionTable } from './session-table.js';

export interface OpenSessionParts {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly keeper: LeaseKeeper;
  readonly table: SessionTable;
  readonly idleTimeoutMs: number;
  /** `sessions.max` */
  readonly maxSessions: number;
  /** `sessions.maxPerPrincipal`; undefined for callers without an identity, to whom only the total applies. */
  readonly maxFor: (principal: Principal) => number | undefined;
  /** What is configured now; a reload may change it while the session lives. */
  readonly findServer: (serverId: string) => VirtualServer | undefined;
  /** Asked before a cap refuses: removes what has ended but was not swept yet. */
  readonly makeRoom: () => Promise<void>;
}

/** A reservation without a record is swept after this. */
const RESERVATION_MS = 60_000;
const FIRST_EPOCH = 1 as Epoch;

export class SessionOpener {
  readonly #parts: OpenSessionParts;

  constructor(parts: OpenSessionParts) {
    this.#parts = parts;
  }

  /**
   * @returns `unavailable` when the lease or Redis is away: the caller is held, nothing was opened
   * @throws GatewayError SESSION_CAP, PRINCIPAL_CAP, BAD_ARGUMENT
   */
  async open(server: VirtualServer, principal: Principal, initialize: JsonRpcRequest): Promise<Session | 'unavailable'> {
    const params = readInitialize(initialize);
    const { keeper, table, findServer } = this.#parts;
    if (!keeper.isValid()) return 'unavailable';
    const token: OwnerToken = { owner: keeper.id, epoch: FIRST_EPOCH };
    const id = mintSessionId();
    const facts = {
      id,
      ref: referenceOf(id),
      get server() {
        return findServer(server.id) ?? goneServer(server.id);
      },
      principal: principal.digest,
      protocolVersion: params.protocolVersion,
      client: params.client,
      createdMs: this.#parts.clock.wallMs(),
    };
    const session = new Session(facts, token, keeper, facts.createdMs, table.eventBudget);
    try {
      await this.#reserve(session, principal);
      const created = await this.#write(session);
      if (!created) return 'unavailable';
    } catch (error) {
      if (error instanceof DirectoryUnavailable) return 'unavailable';
      throw error;
    }
    table.add(session);
    return session;
  }

  async #reserve(session: Session, principal: Principal): Promise<void> {
    const { directory, clock, maxSessions, makeRoom, maxFor } = this.#parts;
    const { ref } = session.facts;
    const reserveTotal = () => directory.reserveTotal(ref, clock.wallMs() + RESERVATION_MS, maxSessions);
    if ((await reserveTotal()) === 'full') {
      await makeRoom();
      if ((await reserveTotal()) === 'full') throw new GatewayError('SESSION_CAP', { retryAfterSeconds: 5 });
    }
    const cap = maxFor(principal);
    if (cap === undefined) return;
    if ((await directory.reservePrincipal(principal.digest, ref, cap)) === 'reserved') return;
    await directory.prunePrincipal(principal.digest);
    if ((await directory.reservePrincipal(principal.digest, ref, cap)) === 'reserved') return;
    await directory.dropReservations(ref, principal.digest);
    throw new GatewayError('PRINCIPAL_CAP', { retryAfterSeconds: 5 });
  }

  async #write(session: Session): Promise<boolean> {
    const { directory, clock, keeper, idleTimeoutMs } = this.#parts;
    const { facts, token } = session;
    // The guard: Redis may have answered the reservations only after our lease ran out.
    if (!session.mayAct()) return false;
    const { connectionsLost } = keeper;
    const record = {
      owner: token.owner as Exclude<OwnerToken['owner'], ''>,
      epoch: token.epoch,
      serverId: facts.server.id,
      principal: facts.principal,
      protocolVersion: facts.protocolVersion,
      client: facts.client,
      createdMs: facts.createdMs,
      backends: {},
    };
    if ((await directory.createSession(facts.ref, record, mintNonce())) !== 'created') throw new GatewayError('INTERNAL');
    // Race: Redis lost its data, our lease with it, and we have not noticed: whoever reads this record would find a dead owner.
    if (!(await directory.readLease(record.owner))) return false;
    await directory.touchSessions([{ ref: facts.ref, untilMs: clock.wallMs() + idleTimeoutMs }]);
    // Race: the connection was lost after the record was written, and the record perhaps with the data.
    return session.mayAct() && keeper.connectionsLost === connectionsLost;
  }
}

interface InitializeParams {
  readonly protocolVersion: string;
  readonly client: SessionRecord['client'];
}

/** A version that we speak is taken as asked; for any other we offer our latest (spec, "Version negotiation"). */
function readInitialize(initialize: JsonRpcRequest): InitializeParams {
  const params: Record<string, unknown> = initialize.params ?? {};
  const { protocolVersion, capabilities, clientInfo } = params;
  if (typeof protocolVersion !== 'string') {
    throw new GatewayError('INVALID_PARAMS', { message: 'initialize needs params.protocolVersion' });
  }
  return {
    protocolVersion: isLegacyVersion(protocolVersion) ? protocolVersion : LATEST_LEGACY_VERSION,
    client: { clientInfo: isObject(clientInfo) ? clientInfo : {}, capabilities: isObject(capabilities) ? capabilities : {} },
  };
}
