// The schema read as a list of options: for environment twins, suggestions, redaction and docs/configuration.md.
import type { z } from 'zod';
import type { OptionDoc } from './doc.js';
import { configSchema } from './schema.js';

export type OptionKind = 'string' | 'number' | 'boolean' | 'choice' | 'duration' | 'size' | 'list' | 'map';

export interface OptionInfo {
  /** `*` stands for a name that the user chooses. */
  readonly path: readonly string[];
  readonly kind: OptionKind;
  /** As one would write it; undefined: none. */
  readonly default: unknown;
  readonly choices: readonly string[];
  readonly doc: OptionDoc;
  /** Environment twin; undefined for what only a file can say. */
  readonly variable: string | undefined;
}

// The parts of zod's definitions that are read here.
interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly defaultValue?: unknown;
  readonly options?: readonly z.ZodType[];
  readonly valueType?: z.ZodType;
  readonly entries?: Readonly<Record<string, string>>;
  readonly values?: readonly unknown[];
  readonly shape?: Readonly<Record<string, z.ZodType>>;
}

const definition = (schema: z.ZodType): Definition => schema.def as unknown as Definition;

interface Unwrapped {
  readonly schema: z.ZodType;
  readonly def: Definition;
  readonly fallback: unknown;
  readonly doc: OptionDoc | undefined;
  readonly unit: 'duration' | 'size' | undefined;
}

/** What is inside defaults, optionals and transforms, with what they say. */
function unwrap(schema: z.ZodType): Unwrapped {
  let current = schema;
  let fallback: unknown;
  let doc: OptionDoc | undefined;
  let unit: Unwrapped['unit'];
  for (;;) {
    const meta = current.meta() as { doc?: OptionDoc; unit?: Unwrapped['unit'] } | undefined;
    doc ??= meta?.doc;
    unit ??= meta?.unit;
    const def = definition(current);
    if (def.type === 'default') fallback ??= def.defaultValue;
    if (def.innerType) current = def.innerType;
    // A transform in front (preprocess) says nothing about the type: what follows it does.
    else if (def.type === 'pipe')
      current = (definition(def.in as z.ZodType).type === 'transform' ? def.out : def.in) as z.ZodType;
    else return { schema: current, def, fallback, doc, unit };
  }
}

/** `sessions.maxPerPrincipal` → `BERTH_SESSIONS__MAX_PER_PRINCIPAL`. */
export const variableOf = (path: readonly string[]): string =>
  `BERTH_${path.map((part) => part.replace(/[A-Z]/g, '_$&').toUpperCase()).join('__')}`;

function kindOf({ def, unit }: Unwrapped): OptionKind {
  if (unit) return unit;
  if (def.type === 'enum' || def.type === 'literal') return 'choice';
  if (def.type === 'array') return 'list';
  if (def.type === 'record' || def.type === 'object') return 'map';
  if (def.type === 'boolean') return 'boolean';
  if (def.type === 'number' || def.type === 'union') return 'number';
  return 'string';
}

function choicesOf(def: Definition): string[] {
  if (def.entries) return Object.values(def.entries);
  return (def.values ?? []).map(String);
}

function* walk(schema: z.ZodType, path: readonly string[]): Generator<OptionInfo> {
  const found = unwrap(schema);
  const { def } = found;
  const dynamic = path.includes('*');
  if (found.doc) {
    const kind = kindOf(found);
    const variable = kind === 'map' || dynamic ? undefined : variableOf(path);
    yield { path, kind, default: found.fallback, choices: choicesOf(def), doc: found.doc, variable };
  }
  if (def.type === 'object') for (const [key, inner] of Object.entries(def.shape ?? {})) yield* walk(inner, [...path, key]);
  else if (def.type === 'union' && unwrap((def.options ?? [])[0] as z.ZodType).def.type === 'object') {
    for (const option of def.options ?? []) yield* walk(option, path);
  } else if (def.type === 'record' && def.valueType) yield* walk(def.valueType, [...path, '*']);
}

/** Every documented option, in the order of the schema. A path under `mcpServers.*` may come twice: once a type. */
export const listOptions = (): OptionInfo[] => [...walk(configSchema, [])];

/** The keys that may stand at a path; empty where any may. */
export function keysAt(path: readonly string[]): string[] {
  let schemas: z.ZodType[] = [configSchema];
  const open = (schema: z.ZodType): Unwrapped[] => {
    const found = unwrap(schema);
    return found.def.type === 'union' ? (found.def.options ?? []).flatMap(open) : [found];
  };
  for (const part of path) {
    schemas = schemas.flatMap(open).flatMap(({ def }) => {
      const inner = def.type === 'record' ? def.valueType : def.shape?.[part];
      return inner ? [inner] : [];
    });
  }
  return [...new Set(schemas.flatMap(open).flatMap(({ def }) => Object.keys(def.shape ?? {})))];
}
