// Where the admin API of a gateway is and which token it wants: all that the CLI needs of a configuration. The rest of the file is not
// looked at, so that a shell without the backends' credentials can ask a gateway that has them.
import { resolve } from 'node:path';
import type { Environment } from './environment.js';
import { interpolate } from './interpolate.js';
import { type ParsedFile, parseFile } from './parse-file.js';
import { configError, isRecord, type Path, type Problem, pathText } from './problems.js';
import { configSchema } from './schema.js';
import { readTwins } from './twins.js';

export interface AdminAccess {
  /** `admin.listen`. */
  readonly listen: string;
  /** `admin.token`; '' if there is none. */
  readonly token: string;
}

/**
 * @param file path of the configuration; without one only environment and defaults count
 * @throws StartError 78
 */
export function loadAdminAccess(file: string | undefined, env: Environment, cwd: string): AdminAccess {
  const named = file === undefined ? undefined : resolve(cwd, file);
  const parsed: ParsedFile = named === undefined ? { value: {}, lineOf: () => undefined, warnings: [] } : parseFile(named);
  const problems: Problem[] = [];
  const written = isRecord(parsed.value) && isRecord(parsed.value.admin) ? parsed.value.admin : {};
  const ours = Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('BERTH_ADMIN')));
  const overrides = new Map(readTwins(ours, cwd, problems).map(({ path, value }) => [pathText(path), value]));
  const placeOf = (path: Path) => {
    const line = parsed.lineOf(path);
    return line === undefined ? pathText(path) : `${pathText(path)} (line ${line})`;
  };
  const admin = Object.fromEntries(
    (['listen', 'token'] as const).flatMap((key) => {
      const value = overrides.get(`admin.${key}`) ?? written[key];
      return value === undefined || value === null ? [] : [[key, value]];
    }),
  );
  const filled = interpolate({ admin }, { env, placeOf, isOverridden: (path) => overrides.has(pathText(path)) }, problems);
  const checked = configSchema.shape.admin.safeParse((filled.value as { admin: unknown }).admin);
  if (!checked.success && problems.length === 0) {
    for (const { path, message } of checked.error.issues) {
      problems.push({ where: placeOf(['admin', ...path.map(String)]), message });
    }
  }
  if (problems.length || !checked.success) throw configError(problems, named);
  return { listen: checked.data.listen, token: checked.data.token };
}
