// What docs/configuration.md and the messages know of an option besides its type.
import type { z } from 'zod';

export interface OptionDoc {
  /** Meaning, with the unit. */
  readonly text: string;
  /** Why one would change it. */
  readonly reason?: string;
  /** Its value appears nowhere; `<VARIABLE>_FILE` may name a file that holds it. */
  readonly secret?: boolean;
  /** `live`: a reload applies it in place; default: it needs a restart. */
  readonly reload?: 'live';
  /** A second name of its environment variable. */
  readonly short?: string;
}

/** Attaches the documentation; last call on the option's schema, because every later call makes a schema without it. */
export const doc = <T extends z.ZodType>(schema: T, entry: OptionDoc): T =>
  schema.meta({ doc: entry, description: entry.text }) as T;
