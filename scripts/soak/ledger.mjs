// What the clients saw, of a run that may last for hours: only what went wrong is kept. No fault is injected, so nothing may.
import { Ledger } from '../chaos/ledger.mjs';

const KEPT = 20;

export class SoakLedger extends Ledger {
  requests = 0;
  /** By kind: `{ what, count, first }`. */
  #failures = new Map();
  #tags = new Map();
  #sessions = new WeakMap();
  #named = 0;

  begin(session, method, nonce) {
    this.requests += 1;
    const { server, openedMs } = session;
    return { server, method, nonce, sinceMs: openedMs ?? this.now(), startMs: this.now(), outcome: undefined };
  }

  end(entry, outcome, facts = {}) {
    super.end(entry, outcome, facts);
    if (outcome === 'ok') return;
    const what = `${entry.method} ${outcome}`;
    const known = this.#failures.get(what) ?? {
      what,
      count: 0,
      first: `${facts.detail ?? ''} at ${(entry.endMs / 1000).toFixed(1)} s`,
    };
    known.count += 1;
    this.#failures.set(what, known);
  }

  reportWrong(what, detail, server) {
    if (this.wrong.length < KEPT) super.reportWrong(what, detail, server);
  }

  reportStateLoss(session) {
    this.reportWrong('state of a backend was lost', '', session.server);
  }

  /** By number: a map that holds sessions would be the leak that is looked for. */
  claimTag(tag, session) {
    if (!this.#sessions.has(session)) this.#sessions.set(session, ++this.#named);
    const owner = this.#tags.get(tag) ?? this.#sessions.get(session);
    this.#tags.set(tag, owner);
    if (owner !== this.#sessions.get(session)) this.reportWrong('crossed', `the tag ${tag} of another session`, session.server);
  }

  get failures() {
    return [...this.#failures.values()];
  }
}
