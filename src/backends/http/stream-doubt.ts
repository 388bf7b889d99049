// Whether a stream that was resumed is one. Servers that do not know an event (any more), or whose log cannot find it, answer with a
// stream that nothing ever comes on (the example store of the TypeScript SDK), others with one that brings what was missed and nothing
// new (server-everything). So what came says nothing. A session has one stream outside calls: where another one is refused, the resumed
// one is it, and that generation is trusted; where another one is opened, that is the stream from now on, each time anew: of a server that
// allows several, nobody can tell whether the resumed one was alive.
import type { Clock, Timer } from '../../lifecycle/clock.js';

/** A stream that was resumed is looked into after so long. */
const DOUBT_MS = 1000;

/** See StreamRequest. */
export interface ProbingStream {
  start(): void;
  stop(): void;
}

export class StreamDoubt<Stream extends ProbingStream> {
  readonly #clock: Clock;
  readonly #openAnother: (resumed: Stream) => Stream | undefined;
  #probe: Stream | undefined;
  #timer: Timer | undefined;
  /** The generation whose backend was found to resume what it says it resumes. */
  #trusted: number | undefined;

  /** @param openAnother makes a stream that begins now, beside the resumed one; undefined: that one is of no interest any more */
  constructor(clock: Clock, openAnother: (resumed: Stream) => Stream | undefined) {
    this.#clock = clock;
    this.#openAnother = openAnother;
  }

  /** The backend says that it goes on with a stream: looked into in a second, unless that generation is trusted. */
  resumed(stream: Stream, generation: number): void {
    if (this.#trusted === generation) return;
    this.#timer = this.#clock.after(DOUBT_MS, () => {
      this.#timer = undefined;
      this.#probe = this.#openAnother(stream);
      this.#probe?.start();
    });
  }

  /** Whether it is the other one. */
  isProbe(stream: Stream): boolean {
    return this.#probe === stream;
  }

  /** The other one was opened: the resumed one is none. Whoever is told takes the other one over; it is not stopped here any more. */
  disproved(): void {
    this.#probe = undefined;
  }

  /**
   * The other one has ended before it was opened.
   * @param status of its answer; 409: a stream is open already, so the resumed one is alive, and others of that generation will be
   */
  ended(status: number | undefined, generation: number): void {
    this.#probe = undefined;
    if (status === 409) this.#trusted = generation;
  }

  /** The resumed one is gone, and with it the question. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#probe?.stop();
    this.#probe = undefined;
  }
}
