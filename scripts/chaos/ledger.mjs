// What the clients saw, one entry a request, and what was wrong with it. Judged only after the run (verdict.mjs), when also the
// backends' own records are there.

export class Ledger {
  entries = [];
  /** Answers that must never come, whatever the fault: `{ what, detail, atMs, server }`. */
  wrong = [];
  /** State of a backend that was gone without a word: `{ server, atMs, sinceMs }`. */
  stateLosses = [];
  #owners = new Map();
  #nonces = 0;
  #clock;

  constructor(clock = () => performance.now()) {
    this.#clock = clock;
  }

  now() {
    return this.#clock();
  }

  /** @param session `{ server, openedMs }` */
  begin(session, method, nonce) {
    const { server, openedMs } = session;
    const entry = {
      server,
      method,
      nonce,
      sinceMs: openedMs ?? this.now(),
      startMs: this.now(),
      endMs: undefined,
      outcome: undefined,
    };
    this.entries.push(entry);
    return entry;
  }

  /** @param outcome ok, wrong, gone, refused, lost, unanswered, hung, `stream broken`, or `<status> <code>` */
  end(entry, outcome, { detail, edge, retryAfter, begun } = {}) {
    Object.assign(entry, { endMs: this.now(), outcome, detail, edge, retryAfter, begun });
  }

  reportWrong(what, detail, server) {
    this.wrong.push({ what, detail: String(detail).slice(0, 300), atMs: this.now(), server });
  }

  reportStateLoss(session) {
    this.stateLosses.push({ server: session.server, atMs: this.now(), sinceMs: session.openedMs });
  }

  /** The tag of a backend session belongs to one session of ours for ever. */
  claimTag(tag, session) {
    const known = this.#owners.get(tag);
    if (known === undefined) this.#owners.set(tag, session);
    else if (known !== session) this.reportWrong('crossed', `the tag ${tag} of another session`, session.server);
  }

  nextNonce() {
    this.#nonces += 1;
    return `n${this.#nonces.toString(36)}.${Math.floor(Math.random() * 2 ** 32).toString(36)}`;
  }
}
