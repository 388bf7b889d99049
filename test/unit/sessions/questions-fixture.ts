// A session with two backends that ask its client, and what becomes of that.
import type { BackendAsk } from '../../../src/backends/backend.js';
import { type Epoch, mintSessionId, type OwnerToken, referenceOf, type WorkerId } from '../../../src/protocol/ids.js';
import type { RequestId } from '../../../src/protocol/json-rpc.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { ClientRequests } from '../../../src/sessions/client-requests.js';
import type { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import type { QuestionOutcome } from '../../../src/sessions/question-outcome.js';
import { Session } from '../../../src/sessions/session.js';
import { FakeClock } from '../../support/fake-clock.js';

/** What a client declares that can be asked everything. */
export const EVERYTHING = { sampling: {}, elicitation: {}, roots: {}, experimental: { x: {} } };

export function makeSession(capabilities: unknown = EVERYTHING, id = mintSessionId()) {
  const client = { clientInfo: {}, capabilities };
  const server = { id: '', backends: ['b'] } as never;
  const facts = { id, ref: referenceOf(id), server, principal: 'p', protocolVersion: '2025-11-25', client, createdMs: 0 };
  const token: OwnerToken = { owner: 'w.1' as WorkerId, epoch: 1 as Epoch };
  const session = new Session(facts, token, { id: 'w.1', isValid: () => true } as unknown as LeaseKeeper, 0);
  const delivered: Array<{ backend: string; id: RequestId; json: string }> = [];
  const open = (backend: string, generation: number) => {
    const respond = async (asked: RequestId, json: Buffer | string) =>
      void delivered.push({ backend, id: asked, json: json.toString() });
    session.backends.set(backend, { respond, isOpen: true, record: { generation }, close: () => undefined } as never);
  };
  open('b', 1);
  open('c', 1);
  return { session, delivered, open };
}

export function make(capabilities?: unknown) {
  const clock = new FakeClock();
  const counts: QuestionOutcome[] = [];
  const marks: string[] = [];
  const asked: string[] = [];
  const requests = new ClientRequests({
    ...{ keyring: makeKeyring(['s']), clock, count: (outcome) => counts.push(outcome) },
    noteAnswered: (_session, mark) => void marks.push(mark),
    noteAsked: (_session, id) => void asked.push(id),
  });
  const made = makeSession(capabilities);
  const told: string[] = [];
  const sink = { message: (json: Buffer | string) => told.push(json.toString()) > 0 } as never;
  const ask = (
    id: RequestId,
    method = 'sampling/createMessage',
    params: object = {},
    more: Partial<BackendAsk> & { backend?: string } = {},
  ) => {
    const { backend = 'b', ...rest } = more;
    const from = made.session.backends.get(backend) as BackendAsk['from'];
    const json = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return requests.ask(made.session, backend, { id, method, json, sink, from, ...rest });
  };
  const lastId = () => JSON.parse(told.at(-1) as string).id as string;
  const answer = (id: RequestId, result: object = { ok: true }, session = made.session, more: object = {}) => {
    const response = { jsonrpc: '2.0' as const, id, result, ...more };
    return requests.answer(session, response, Buffer.from(JSON.stringify(response)), {}).kind;
  };
  return { clock, counts, marks, asked, requests, told, ask, lastId, answer, ...made };
}
