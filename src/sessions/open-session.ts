// Opens a session for `initialize`: mints the id, takes its places under the caps, writes the record, in this order: a crash between
// any two steps leaves members without a record, which the sweep removes within a minute, or the next refusal of that principal.
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
const PRUNE_INTERVAL_MS = 1000;
/** Principals whose last pruning is remembered. */
const MAX_PRUNED = 1000;
const RETRY_AFTER_SECONDS = 5;
const FIRST_EPOCH = 1 as Epoch;

export class SessionOpener {
  readonly #parts: OpenSessionParts;
  /** When a principal's index was pruned here (monotonic), and whether that is over; oldest first. */
  readonly #pruned = new Map<string, { readonly beganMs: number; readonly done: Promise<void> }>();

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
    const session = new Session(facts, token, keeper, facts.createdMs, table);
    let mayHaveRecord = false;
    try {
      await this.#reserve(session, principal);
      // The guard: Redis may have answered the reservations only after our lease ran out.
      mayHaveRecord = session.mayAct();
      if (mayHaveRecord && (await this.#write(session))) {
        table.add(session);
        return session;
      }
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
    }
    // With a record it is for the sweep to end: without its places nothing would find it.
    if (!mayHaveRecord) this.#giveBack(session);
    return 'unavailable';
  }

  /**
   * The caller's own place first: a flood of one caller who is at his cap then takes nobody else's, not for a moment (ADR 12). A crash
   * between the two leaves a member of his own index, which is removed when it would refuse him.
   */
  async #reserve(session: Session, principal: Principal): Promise<void> {
    const { directory, clock, maxSessions, makeRoom, maxFor } = this.#parts;
    const { ref } = session.facts;
    const cap = maxFor(principal);
    if (cap !== undefined) {
      const reserve = () => directory.reservePrincipal(principal.digest, ref, cap);
      if ((await reserve()) === 'full') {
        await makeRoom();
        await this.#prune(principal.digest);
        if ((await reserve()) === 'full') throw refusal('PRINCIPAL_CAP', cap);
      }
    }
    const reserveTotal = () => directory.reserveTotal(ref, clock.wallMs() + RESERVATION_MS, maxSessions);
    if ((await reserveTotal()) === 'reserved') return;
    await makeRoom();
    if ((await reserveTotal()) === 'reserved') return;
    this.#giveBack(session);
    throw refusal('SESSION_CAP', maxSessions);
  }

  /** It looks at every session of the principal: a flood of refused callers shares it, and has it once a second. */
  async #prune(principal: string): Promise<void> {
    const { clock, directory } = this.#parts;
    const last = this.#pruned.get(principal);
    if (last && clock.monotonicMs() < last.beganMs + PRUNE_INTERVAL_MS) return last.done;
    const done = directory.prunePrincipal(principal);
    // One that failed is no reason not to try again.
    done.catch(() => this.#pruned.delete(principal));
    // Set anew, it is the youngest.
    this.#pruned.delete(principal);
    this.#pruned.set(principal, { beganMs: clock.monotonicMs(), done });
    for (const oldest of this.#pruned.keys()) {
      if (this.#pruned.size <= MAX_PRUNED) break;
      this.#pruned.delete(oldest);
    }
    return done;
  }

  /** Should this fail, the sweep and the next refusal find places without a record. */
  #giveBack({ facts }: Session): void {
    this.#parts.directory.dropReservations(facts.ref, facts.principal).catch(() => undefined);
  }

  async #write(session: Session): Promise<boolean> {
    const { directory, clock, keeper, idleTimeoutMs } = this.#parts;
    const { facts, token } = session;
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

function refusal(code: 'SESSION_CAP' | 'PRINCIPAL_CAP', limit: number): GatewayError {
  const details = { reason: code.toLowerCase(), limit };
  return new GatewayError(code, { retryAfterSeconds: RETRY_AFTER_SECONDS, details });
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
