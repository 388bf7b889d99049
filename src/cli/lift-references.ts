// A reference may begin with a dash, and would be taken for an option.

const DASHED = /^-[A-Za-z0-9_-]{21}$/;

/** Arguments in which such references stand behind `--`, as whoever knows the convention would have written them. */
export function liftReferences(args: readonly string[]): readonly string[] {
  if (args[0] !== 'sessions' || args.includes('--')) return args;
  const references = args.filter((arg) => DASHED.test(arg));
  return references.length ? [...args.filter((arg) => !DASHED.test(arg)), '--', ...references] : args;
}
