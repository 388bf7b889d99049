// Numbered messages as one client heard them: each once, in order, and no hole that was not told.

export class NumberedMessages {
  /** What came twice or in the wrong order, or was missing although no gap was told. */
  readonly misheard: string[] = [];
  gapsTold = 0;
  #last: number | undefined;
  #mayMiss = false;

  /** @param first the number of the first message; default whichever comes */
  constructor(first?: number) {
    if (first !== undefined) this.#last = first - 1;
  }

  /** Of the message that came last, or that would have been before the first. */
  get last(): number | undefined {
    return this.#last;
  }

  /** Something may be missing before the next one. */
  gap(): void {
    this.gapsTold += 1;
    this.#mayMiss = true;
  }

  hear(number: number): void {
    const last = this.#last ?? number - 1;
    if (number <= last) this.misheard.push(`${number} after ${last}`);
    else if (number > last + 1 && !this.#mayMiss) this.misheard.push(`${number} after ${last}, and no gap was told`);
    this.#mayMiss = false;
    this.#last = number;
  }
}
