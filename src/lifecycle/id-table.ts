// A table by number for what comes and goes with every request; not a Map for the reason that bag.ts tells. Open addressing, so that
// only growing allocates.

const FIRST_CAPACITY = 64;

export class IdTable<T> {
  /** 0: free. Float64: ids are any positive safe integer. */
  #ids = new Float64Array(FIRST_CAPACITY);
  #values: Array<T | undefined> = new Array(FIRST_CAPACITY).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    const index = this.#find(id);
    return this.#ids[index] === id ? this.#values[index] : undefined;
  }

  /** @param id a positive safe integer */
  set(id: number, value: T): void {
    if (this.#size * 2 >= this.#ids.length) this.#grow();
    const index = this.#find(id);
    if (this.#ids[index] !== id) this.#size++;
    this.#ids[index] = id;
    this.#values[index] = value;
  }

  /** @returns false if there was none */
  delete(id: number): boolean {
    let hole = this.#find(id);
    if (this.#ids[hole] !== id) return false;
    this.#size--;
    const mask = this.#ids.length - 1;
    // What follows moves up where its own place lies at or before the hole: no marks are left that searches would have to pass.
    for (let index = (hole + 1) & mask; this.#ids[index] !== 0; index = (index + 1) & mask) {
      const home = (this.#ids[index] as number) & mask;
      if (((index - home) & mask) < ((index - hole) & mask)) continue;
      this.#ids[hole] = this.#ids[index] as number;
      this.#values[hole] = this.#values[index];
      hole = index;
    }
    this.#ids[hole] = 0;
    this.#values[hole] = undefined;
    return true;
  }

  /** A copy. */
  values(): T[] {
    return this.#values.filter((_, index) => this.#ids[index] !== 0) as T[];
  }

  clear(): void {
    this.#ids.fill(0);
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /** The index of the id, or the free one where it belongs. */
  #find(id: number): number {
    const mask = this.#ids.length - 1;
    let index = id & mask;
    while (this.#ids[index] !== 0 && this.#ids[index] !== id) index = (index + 1) & mask;
    return index;
  }

  #grow(): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#ids = new Float64Array(ids.length * 2);
    this.#values = new Array(ids.length * 2).fill(undefined);
    ids.forEach((id, old) => {
      if (id === 0) return;
      const index = this.#find(id);
      this.#ids[index] = id;
      this.#values[index] = values[old];
    });
  }
}
