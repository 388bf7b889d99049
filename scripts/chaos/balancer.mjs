// A plain balancer in the client's own process: every request goes to the next pod over a connection of its own and is never
// repeated. As in Kubernetes a pod is taken out when it is told to end or its readiness fails; only a refused connection, where
// certainly nothing had begun, is tried at the other pod.
import { request } from 'node:http';

const CHECK_EVERY_MS = 500;
const CHECK_WITHIN_MS = 2000;

export class Balancer {
  #pods;
  #next = 0;
  #timer;
  #out = new Set();

  /** @param pods `[{ name, host, port, readyUrl }]`; `readyUrl` undefined: never checked */
  constructor(pods) {
    this.#pods = pods;
  }

  watch() {
    this.#timer = setInterval(() => {
      for (const pod of this.#pods) if (pod.readyUrl && !pod.isEnding) void this.#check(pod);
    }, CHECK_EVERY_MS);
  }

  close() {
    clearInterval(this.#timer);
  }

  /** The pod was told to end: out at once, and back when it is ready again. */
  takeOut(pod) {
    this.#out.add(pod);
  }

  async #check(pod) {
    try {
      const answer = await fetch(pod.readyUrl, { signal: AbortSignal.timeout(CHECK_WITHIN_MS) });
      await answer.body?.cancel();
      if (answer.status === 200 && !pod.isEnding) this.#out.delete(pod);
      else this.#out.add(pod);
    } catch {
      this.#out.add(pod);
    }
  }

  /**
   * @param options `{ method, path, headers, body, timeoutMs, signal, onHead, onData }`; onData gets the body's text as it comes
   * @returns `{ status, headers, edge }` at the end of the answer
   * @throws Failure
   */
  async send(options) {
    // A pod that was told to end gets nothing new, even if it is the only one: its listener is about to close.
    const staying = this.#pods.filter((pod) => !pod.isEnding);
    const ready = staying.filter((pod) => !this.#out.has(pod));
    const from = this.#next++;
    const order = (ready.length > 0 ? ready : staying).map((_, i, all) => all[(from + i) % all.length]);
    for (const pod of staying) if (!order.includes(pod)) order.push(pod);
    for (const pod of order) {
      try {
        return await exchange(pod, options);
      } catch (error) {
        if (error.kind !== 'refused') throw error;
      }
    }
    throw new Failure('refused', 'no pod accepts connections');
  }
}

export class Failure extends Error {
  /** @param kind refused (certainly not begun), lost (the connection broke), hung (no end by its deadline) */
  constructor(kind, message, edge, begun = false) {
    super(message);
    this.kind = kind;
    this.edge = edge;
    /** Some of the answer had come. */
    this.begun = begun;
  }
}

function exchange(pod, { method, path, headers, body, timeoutMs, signal, onHead, onData }) {
  return new Promise((resolve, reject) => {
    const { host, port } = pod;
    const outgoing = request({ host, port, method, path, agent: false, headers: withLength(headers, body) });
    let begun = false;
    const fail = (kind, message) => {
      settle();
      reject(new Failure(kind, message, pod.name, begun));
      outgoing.destroy();
    };
    const late = timeoutMs ? setTimeout(() => fail('hung', `no end within ${timeoutMs} ms`), timeoutMs) : undefined;
    const leave = () => fail('lost', 'left by the client');
    signal?.addEventListener('abort', leave);
    const settle = () => {
      clearTimeout(late);
      signal?.removeEventListener('abort', leave);
    };
    outgoing.on('error', (error) => fail(error.code === 'ECONNREFUSED' ? 'refused' : 'lost', error.code ?? error.message));
    outgoing.on('response', (answer) => {
      begun = true;
      onHead?.(answer);
      answer.setEncoding('utf8');
      answer.on('data', (text) => onData?.(text, answer));
      answer.on('error', (error) => fail('lost', error.code ?? error.message));
      answer.on('end', () => {
        settle();
        resolve({ status: answer.statusCode, headers: answer.headers, edge: pod.name });
      });
    });
    outgoing.end(body);
  });
}

const withLength = (headers, body) => (body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) });
