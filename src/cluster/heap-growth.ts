// How far a worker's heap may grow before V8 collects all of it (ADR 27).
import { setFlagsFromString } from 'node:v8';

/** In per cent of what was alive at the last collection, as Go's GOGC. */
const HEAP_GROWTH_PERCENT = 100;

/**
 * Left to itself V8 let the heap of a worker grow by a tenth; but the chunks that pass through count as growth as well, so that a worker with
 * 31 MB collected everything after each 12 MB of results, and that was dear. May be set while V8 runs: it is read at the end of each
 * collection. Nearer to the limit of the heap V8 lets it grow less, as ever.
 */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
}
