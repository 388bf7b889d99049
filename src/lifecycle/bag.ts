// A collection for what comes and goes with every request: O(1), nothing allocated per entry.
//
// Not a Set or Map: V8 gives them a new table after every few changes, and the old one, garbage by then, still points to its
// successor. Once one of them has grown old, every later table is kept alive through it until the next full collection, with all
// entries it ever held. Measured on the owner's path: each scavenge copied every request since the last one, a fifth of the CPU.

/** Entries carry their place in a property of the bag's name, so an entry can be in one bag of each name at a time. */
export class Bag<T extends object> {
  readonly #items: T[] = [];
  readonly #slot: string;

  /** @param name of the purpose; the same for all bags of one kind of entry */
  constructor(name: string) {
    this.#slot = `bag:${name}`;
  }

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    const slots = item as Record<string, number | undefined>;
    if (this.#holds(item, slots[this.#slot])) return;
    slots[this.#slot] = this.#items.length;
    this.#items.push(item);
  }

  /** @returns false if it was not in the bag */
  delete(item: T): boolean {
    const slots = item as Record<string, number | undefined>;
    const index = slots[this.#slot];
    if (!this.#holds(item, index)) return false;
    slots[this.#slot] = -1;
    const last = this.#items.pop() as T;
    if (last !== item) {
      this.#items[index as number] = last;
      (last as Record<string, number | undefined>)[this.#slot] = index;
    }
    return true;
  }

  has(item: T): boolean {
    return this.#holds(item, (item as Record<string, number | undefined>)[this.#slot]);
  }

  clear(): void {
    for (const item of this.#items) (item as Record<string, number | undefined>)[this.#slot] = -1;
    this.#items.length = 0;
  }

  /** Runs for every entry; those that are deleted or added meanwhile may be missed or come twice. */
  forEach(run: (item: T) => void): void {
    for (let index = this.#items.length - 1; index >= 0; index--) {
      const item = this.#items[index];
      if (item !== undefined) run(item);
    }
  }

  find(matches: (item: T) => boolean): T | undefined {
    return this.#items.find(matches);
  }

  /** A copy. */
  toArray(): T[] {
    return [...this.#items];
  }

  #holds(item: T, index: number | undefined): boolean {
    return index !== undefined && index >= 0 && this.#items[index] === item;
  }
}
