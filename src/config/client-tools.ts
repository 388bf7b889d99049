// Lists of tools that clients keep beside a server: they say which of its tools may be used, so they are a filter of the backend.
import { isRecord } from './problems.js';

const INCLUDE = ['enabled_tools', 'enabledTools', 'includeTools'];
const EXCLUDE = ['disabled_tools', 'disabledTools', 'excludeTools'];

export interface ClientTools {
  /** Our `tools`; undefined: nothing is written. */
  readonly tools: unknown;
  /** Keys that are dealt with. */
  readonly taken: ReadonlySet<string>;
  /** Which key each of our lists was read from. */
  readonly from: { readonly include?: string; readonly exclude?: string };
  /** Two keys for one list; which of them counts is not ours to choose. */
  readonly double: readonly [string, string] | undefined;
  /** `tools` holds settings of single tools, such as approvals: nothing of ours. */
  readonly hasApprovals: boolean;
}

export function readTools(entry: Readonly<Record<string, unknown>>): ClientTools {
  const written = entry.tools;
  const isList = Array.isArray(written);
  const hasApprovals = isRecord(written) && Object.keys(written).length > 0 && Object.values(written).every(isRecord);
  const isOurs = isRecord(written) && !hasApprovals;
  const given = (keys: readonly string[]) => keys.filter((key) => entry[key] !== undefined && entry[key] !== null);
  const include = [...given(INCLUDE), ...(isList || (isOurs && 'include' in written) ? ['tools'] : [])];
  const exclude = [...given(EXCLUDE), ...(isOurs && 'exclude' in written ? ['tools'] : [])];
  const double = [include, exclude].find((keys) => keys.length > 1) as [string, string] | undefined;
  const tools: Record<string, unknown> = isOurs ? { ...written } : {};
  const [from, without] = [include[0], exclude[0]];
  if (from !== undefined && (from !== 'tools' || isList)) tools.include = entry[from];
  if (without !== undefined && without !== 'tools') tools.exclude = entry[without];
  const isEmpty = Object.keys(tools).length === 0;
  return {
    // Text and the like stay, for the schema to refuse.
    tools: isEmpty && written !== undefined && written !== null && !isRecord(written) ? written : isEmpty ? undefined : tools,
    taken: new Set([...INCLUDE, ...EXCLUDE, 'tools']),
    from: { ...(from === undefined ? {} : { include: from }), ...(without === undefined ? {} : { exclude: without }) },
    double,
    hasApprovals,
  };
}
