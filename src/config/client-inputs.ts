// `inputs` of VS Code: values that it asks its user for. A gateway has nobody to ask: each is a variable of the environment.
import { type Findings, isRecord, type Path } from './problems.js';

export interface Input {
  readonly id: string;
  /** Holds the value; `<variable>_FILE` may name a file that does. */
  readonly variable: string;
  readonly description: string | undefined;
  /** Its value is shown nowhere. */
  readonly isSecret: boolean;
  readonly fallback: string | undefined;
  /** What may be chosen; undefined: anything. */
  readonly options: readonly string[] | undefined;
}

export const INPUT_PREFIX = 'BERTH_INPUT_';

/** `api-key` → `BERTH_INPUT_API_KEY`. */
export const inputVariable = (id: string): string => INPUT_PREFIX + id.replace(/\W/g, '_').toUpperCase();

/** What is wrong with them goes to `problems`. */
export function readInputs(value: unknown, path: Path, { problems, placeOf }: Findings): ReadonlyMap<string, Input> {
  const inputs = new Map<string, Input>();
  if (value === undefined || value === null) return inputs;
  const remedy = 'Write inputs: [{ id: "api-key", type: "promptString", description: "…", password: true }].';
  if (!Array.isArray(value)) {
    problems.push({ where: placeOf(path), message: 'expected a list', remedy });
    return inputs;
  }
  const variables = new Map<string, string>();
  value.forEach((entry: unknown, i) => {
    const where = placeOf([...path, i]);
    if (!isRecord(entry) || typeof entry.id !== 'string' || entry.id === '') {
      problems.push({ where, message: 'expected an input with an id', remedy });
      return;
    }
    const input = makeInput(entry.id, entry);
    const other = variables.get(input.variable);
    if (other !== undefined) {
      const message =
        other === input.id
          ? `there are two inputs "${input.id}"`
          : `the inputs "${other}" and "${input.id}" would both be read from ${input.variable}`;
      problems.push({ where, message, remedy: 'Rename one of the two, or remove it.' });
    }
    variables.set(input.variable, input.id);
    inputs.set(input.id, input);
  });
  return inputs;
}

function makeInput(id: string, entry: Readonly<Record<string, unknown>>): Input {
  const options = Array.isArray(entry.options)
    ? entry.options.map((option: unknown) => String(isRecord(option) ? (option.value ?? option.label) : option))
    : undefined;
  return {
    id,
    variable: inputVariable(id),
    description: typeof entry.description === 'string' && entry.description ? entry.description : undefined,
    isSecret: entry.password === true,
    fallback: typeof entry.default === 'string' ? entry.default : undefined,
    options,
  };
}
