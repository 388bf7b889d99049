// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// `${VAR}`, `${VAR:-default}` and `${env:VAR}` in string values, after parsing: what a variable holds can never change the
// structure of the file.
import { type Path, type Problem, pathText } from './problems.js';

export interface Interpolation {
  readonly value: unknown;
  /** Paths of strings that held a reference: they may stand for a number or a boolean. */
  readonly replaced: ReadonlySet<string>;
  /** Names of all variables that were referred to. */
  readonly variables: ReadonlySet<string>;
  /** Paths whose value could not be made; nothing more need be said about them. */
  readonly broken: ReadonlySet<string>;
}

export interface InterpolationSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The place as the reader should see it. */
  readonly placeOf: (path: Path) => string;
  /** Values that a flag or a variable replaces anyway: what they refer to need not exist. */
  readonly isOverridden: (path: Path) => boolean;
  /** Further references: the value of what stands between the braces, or undefined if it is none of them. Default: none. */
  readonly special?: (inner: string, variables: Set<string>, fail: Fail) => string | undefined;
}

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const VARIABLE = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

/** What follows the name may be a secret: `${TOKEN:=…}`, as shells have it. */
const shownOf = (inner: string): string => {
  const [name = ''] = /^\w*/.exec(inner) ?? [];
  return `\${${name}${name === inner ? '' : '…'}}`;
};

/** Tells what is wrong with a reference; stands for its value. */
export type Fail = (message: string, remedy: string) => string;

/** Replaces references in every string value; what is wrong with them goes to `problems`. */
export function interpolate(root: unknown, source: InterpolationSource, problems: Problem[]): Interpolation {
  const replaced = new Set<string>();
  const variables = new Set<string>();
  const broken = new Set<string>();

  const visit = (value: unknown, path: Path): unknown => {
    if (typeof value === 'string') return source.isOverridden(path) ? value : text(value, path);
    if (Array.isArray(value)) return value.map((item, i) => visit(item, [...path, i]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner, [...path, key])]));
  };

  const text = (value: string, path: Path): string => {
    if (!value.includes('${')) return value;
    const fail: Fail = (message, remedy) => {
      problems.push({ where: source.placeOf(path), message, remedy });
      broken.add(pathText(path));
      return '';
    };
    return value.replace(REFERENCE, (whole: string, inner: string | undefined, end: string | undefined) => {
      if (inner === undefined) return '${';
      if (!end) return fail('"${" without its "}"', 'Close it, or write "$${" for the two characters themselves.');
      replaced.add(pathText(path));
      return reference(whole, inner, fail);
    });
  };

  const reference = (whole: string, inner: string, fail: Fail): string => {
    const special = source.special?.(inner, variables, fail);
    if (special !== undefined) return special;
    const input = /^(?:input|promptString):(.*)$/.exec(inner);
    if (input) {
      const name = (input[1] as string).replace(/\W/g, '_').toUpperCase() || 'VALUE';
      return fail(
        `${whole} asks the user in an editor; a gateway has nobody to ask`,
        `Put the value into an environment variable and write \${${/^\d/.test(name) ? `_${name}` : name}} instead.`,
      );
    }
    const match = VARIABLE.exec(inner);
    if (!match) {
      return fail(
        `${shownOf(inner)} is not a reference that is understood`,
        'Write ${NAME} or ${NAME:-default}; "$${" is a literal "${".',
      );
    }
    const name = match[1] as string;
    const fallback = match[2];
    variables.add(name);
    const found = Object.hasOwn(source.env, name) ? source.env[name] : undefined;
    // As in a shell: ":-" also stands in for an empty value.
    if (fallback !== undefined) return found || fallback;
    if (found !== undefined) return found;
    return fail(`the environment variable ${name} is not set`, `Set ${name}, or write \${${name}:-default} to go on without it.`);
  };

  return { value: visit(root, []), replaced, variables, broken };
}
