// One client session with every answer checked: id, nonce, tag of the backend session, text byte for byte, counters that only grow,
// progress of our own token, events of our own session.
import { EventReader } from './sse.mjs';

const VERSION = '2025-11-25';
const STREAM_PAUSE_MS = 500;
/** While no pod accepts connections nothing is learned from asking again at once. */
const REFUSED_PAUSE_MS = 1000;
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

export class ClientSession {
  server;
  openedMs;
  /** 404: the gateway does not know it (any more). */
  isGone = false;
  id;
  #parts;
  #tag;
  #counters = new Map();
  #nextId = 1;
  #streaming = new AbortController();
  #isEnding = false;

  /** @param parts `{ send, ledger, path(server), timeoutMs }`; `send` is the balancer's */
  constructor(server, parts) {
    this.server = server;
    this.#parts = parts;
  }

  /** @returns whether it is open */
  async open() {
    const { ledger } = this.#parts;
    this.openedMs = ledger.now();
    const params = { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: 'chaos', version: '1.0.0' } };
    const answer = await this.#request('initialize', params);
    if (!answer) return false;
    this.id = answer.headers['mcp-session-id'];
    if (!this.id) ledger.reportWrong('initialize without a session id', answer.status, this.server);
    else await this.notify('notifications/initialized');
    return Boolean(this.id);
  }

  /** @returns whether the answer was the right one */
  async echo(text) {
    return this.#call('echo', { text }, (rest) => rest === text);
  }

  async slow(ms) {
    return this.#call('slow', { ms }, (rest) => rest === 'slept');
  }

  async progress(steps, ms) {
    return this.#call('progress', { steps, ms }, (rest) => rest === 'done', { progressToken: `p${this.#nextId}` });
  }

  /** Calls that began after an answer must count further than it did, and no two may get the same number. */
  async counter() {
    const floors = new Map([...this.#counters].map(([tag, { max }]) => [tag, max]));
    return this.#call('counter', {}, (rest, tag) => {
      const count = Number(rest);
      const known = this.#counters.get(tag) ?? { max: 0, seen: new Set() };
      this.#counters.set(tag, known);
      if (!(count > (floors.get(tag) ?? 0)) || known.seen.has(count)) return false;
      known.seen.add(count);
      known.max = Math.max(known.max, count);
      return true;
    });
  }

  async list() {
    const answer = await this.#request('tools/list', {});
    if (!answer) return false;
    const tools = answer.message.result?.tools;
    if (tools?.length === 4) return true;
    return this.#isWrong(answer.entry, 'tools/list', JSON.stringify(answer.message));
  }

  async notify(method) {
    await this.#post(method, undefined, JSON.stringify({ jsonrpc: '2.0', method }), 202);
  }

  /** DELETE, until the gateway says that the session is dead. @returns whether it said so within `withinMs` */
  async end(withinMs) {
    const { ledger } = this.#parts;
    this.#isEnding = true;
    this.#streaming.abort();
    const deadline = ledger.now() + withinMs;
    for (let tries = 0; this.id && !this.isGone && ledger.now() < deadline; tries += 1) {
      if (tries > 0) await sleep(500);
      const entry = ledger.begin(this, 'DELETE');
      const answer = await this.#transfer(entry, 'DELETE', undefined);
      if (!answer) continue;
      if (answer.status === 202 || answer.status === 200) {
        ledger.end(entry, 'ok', answer);
        return true;
      }
      // An earlier DELETE may have done it while its answer was lost.
      const isRepeat = answer.status === 404 && tries > 0;
      this.#fail(entry, answer, isRepeat ? 'ok' : undefined);
      if (isRepeat) return true;
    }
    return this.isGone || !this.id;
  }

  /** Keeps a GET stream open as long as the session lives. @returns when it has ended */
  async listen() {
    const { ledger } = this.#parts;
    while (!this.#isEnding && !this.isGone) {
      const entry = ledger.begin(this, 'GET');
      // The status is the answer; the stream behind it may last for minutes.
      const onHead = ({ statusCode }) => statusCode === 200 && ledger.end(entry, 'ok');
      const reader = new EventReader(({ data }) => data && this.#takeEvent(data));
      const answer = await this.#transfer(entry, 'GET', undefined, { onHead, onText: (text) => reader.take(text), timeoutMs: 0 });
      if (answer && answer.status !== 200) this.#fail(entry, answer);
      await sleep(STREAM_PAUSE_MS);
    }
  }

  #takeEvent(data) {
    const { ledger } = this.#parts;
    const { method, params } = parse(data) ?? {};
    if (method !== 'notifications/message' || params?.data?.gap) return;
    const tag = params.data?.tag;
    if (!tag) ledger.reportWrong('altered event', data, this.server);
    else ledger.claimTag(tag, this);
  }

  async #call(name, args, isRight, meta) {
    const { ledger } = this.#parts;
    const nonce = ledger.nextNonce();
    const params = { name, arguments: { ...args, nonce }, ...(meta ? { _meta: meta } : {}) };
    const answer = await this.#request('tools/call', params, nonce);
    if (!answer) return false;
    const text = answer.message.result?.content?.[0]?.text;
    const [, tag, gotNonce, rest] = /^(\S+) (\S+) (.*)$/s.exec(text ?? '') ?? [];
    if (gotNonce !== nonce) return this.#isWrong(answer.entry, `${name}: not this call's answer`, text);
    ledger.claimTag(tag, this);
    if (this.#tag !== undefined && this.#tag !== tag) ledger.reportStateLoss(this);
    this.#tag = tag;
    for (const { params: told } of answer.notes) {
      if (told?.progressToken !== undefined && told.progressToken !== meta?.progressToken) {
        return this.#isWrong(answer.entry, 'progress of another call', JSON.stringify(told));
      }
    }
    return isRight(rest, tag) || this.#isWrong(answer.entry, `${name}: altered or out of order`, rest);
  }

  #isWrong(entry, what, detail) {
    entry.outcome = 'wrong';
    this.#parts.ledger.reportWrong(what, detail, this.server);
    return false;
  }

  /** @returns the good answer, or undefined when the ledger has the failure */
  async #request(method, params, nonce) {
    const id = this.#nextId++;
    return this.#post(method, nonce, JSON.stringify({ jsonrpc: '2.0', id, method, params }), 200, id);
  }

  async #post(method, nonce, body, wanted, id) {
    const { ledger } = this.#parts;
    const entry = ledger.begin(this, method, nonce);
    const answer = await this.#transfer(entry, 'POST', body);
    if (!answer) return undefined;
    if (answer.status !== wanted) return this.#fail(entry, answer);
    if (wanted === 202) {
      ledger.end(entry, 'ok', answer);
      return answer;
    }
    const messages = readMessages(answer);
    const answers = messages.filter((message) => message !== undefined && message.method === undefined);
    if (messages.includes(undefined) || answers.length !== 1 || answers[0].id !== id) {
      ledger.end(entry, answers.length === 0 ? 'unanswered' : 'wrong', {
        ...answer,
        detail: `ended without its answer: ${answer.text.slice(-200)}`,
      });
      if (answers.length > 0 || messages.includes(undefined))
        this.#isWrong(entry, `${method}: not one answer with its id`, answer.text);
      return undefined;
    }
    if (answers[0].error) return this.#fail(entry, answer, undefined, answers[0].error);
    ledger.end(entry, 'ok', answer);
    return { ...answer, entry, message: answers[0], notes: messages.filter(({ method: name }) => name !== undefined) };
  }

  #fail(entry, answer, outcome, error = parse(answer.text)?.error) {
    const isGone = answer.status === 404;
    if (isGone && outcome === undefined) this.isGone = true;
    const retryAfter = answer.headers['retry-after'];
    const detail = error ? `${error.message} ${JSON.stringify(error.data ?? '')}` : answer.text.slice(0, 200);
    const { ledger } = this.#parts;
    ledger.end(entry, outcome ?? (isGone ? 'gone' : `${answer.status} ${error?.code ?? '-'}`), { ...answer, detail, retryAfter });
    return undefined;
  }

  /** @returns `{ status, headers, text, edge }`, or undefined when the ledger has the failure */
  async #transfer(entry, method, body, { onHead, onText, timeoutMs = this.#parts.timeoutMs } = {}) {
    const { send, path, ledger } = this.#parts;
    let text = '';
    const onData = (chunk, answer) => {
      if (onText && answer.statusCode === 200) onText(chunk);
      else text += chunk;
    };
    const headers = {
      accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(this.id ? { 'mcp-session-id': this.id, 'mcp-protocol-version': VERSION } : {}),
    };
    const signal = method === 'GET' ? this.#streaming.signal : undefined;
    try {
      return { ...(await send({ method, path: path(this.server), headers, body, timeoutMs, signal, onHead, onData })), text };
    } catch (error) {
      const left = signal?.aborted === true;
      // A stream that broke after it had begun is told apart from one that never began.
      const outcome = left ? 'ok' : method === 'GET' && entry.outcome === 'ok' ? 'stream broken' : error.kind;
      ledger.end(entry, outcome, { detail: error.message, edge: error.edge, begun: error.begun });
      if (error.kind === 'refused') await sleep(REFUSED_PAUSE_MS);
      return undefined;
    }
  }
}

function readMessages({ headers, text }) {
  if (!headers['content-type']?.startsWith('text/event-stream')) return [parse(text)];
  const messages = [];
  const reader = new EventReader(({ data }) => data && messages.push(parse(data)));
  reader.take(text);
  return messages;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
