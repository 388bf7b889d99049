// What no reader of a configuration can bear, whatever the format: values within values without end (YAML can refer to itself), and a
// key that JavaScript takes for something else than a key.
import { configError, type Findings, isRecord, type Path } from './problems.js';

/** Ours end at six. */
const MAX_DEPTH = 64;

export const TOO_DEEP = { message: 'is nested too deeply', remedy: 'Check its brackets, and aliases that refer to themselves.' };

/**
 * A copy without keys called `__proto__`: each is a problem.
 * @throws StartError 78 where it is nested too deeply
 */
export function checkShape(root: unknown, file: string | undefined, { problems, placeOf }: Omit<Findings, 'warnings'>): unknown {
  const visit = (value: unknown, path: Path): unknown => {
    if (path.length > MAX_DEPTH) throw configError([{ where: placeOf(path.slice(0, 2)), ...TOO_DEEP }], file);
    if (Array.isArray(value)) return value.map((item, i) => visit(item, [...path, i]));
    if (!isRecord(value)) return value;
    const kept = Object.entries(value).filter(([key]) => {
      if (key !== '__proto__') return true;
      problems.push({
        where: placeOf([...path, key]),
        message: 'this name cannot be used',
        remedy: 'Choose another one, or remove it.',
      });
      return false;
    });
    return Object.fromEntries(kept.map(([key, inner]) => [key, visit(inner, [...path, key])]));
  };
  return visit(root, []);
}
