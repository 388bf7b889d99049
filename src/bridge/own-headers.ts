// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written like templates
// Headers that the user adds to every request: `--header`, and BERTH_TOKEN.
import type { Environment } from '../config/environment.js';
import { interpolate } from '../config/interpolate.js';
import type { Problem } from '../config/problems.js';
import { EXIT, StartError } from '../errors/start-error.js';
import { whyNotSet } from '../protocol/backend-headers.js';
import { isHeaderValue } from '../protocol/header-value.js';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * The headers of every request, names in lower case; a header that was given wins over BERTH_TOKEN.
 * @param given each `Name: value`; `${VAR}` in a value stands for a variable of the environment
 * @throws StartError 64 naming the header, never its value
 */
export function readHeaders(given: readonly string[], env: Environment): Record<string, string> {
  const token = env.BERTH_TOKEN?.trim();
  const headers: Record<string, string> = token ? { authorization: checked('BERTH_TOKEN', `Bearer ${token}`) } : {};
  for (const one of given) {
    const colon = one.indexOf(':');
    const name = one.slice(0, Math.max(colon, 0)).trim();
    if (!NAME.test(name)) throw usage('--header is not "Name: value"', "Write it like --header 'X-Tenant: blue'.");
    const lower = name.toLowerCase();
    if (whyNotSet(lower) !== undefined) {
      throw usage(`--header ${name} is reserved: the bridge sets it itself, or nobody may`, 'Leave it out.');
    }
    headers[lower] = checked(`--header ${name}`, replace(name, one.slice(colon + 1).trim(), env));
  }
  return headers;
}

function replace(name: string, text: string, env: Environment): string {
  const problems: Problem[] = [];
  const { value } = interpolate(text, { env, placeOf: () => `--header ${name}`, isOverridden: () => false }, problems);
  const [problem] = problems;
  if (problem) throw usage(`${problem.where}: ${problem.message}`, problem.remedy ?? '');
  return (value as string).trim();
}

function checked(what: string, value: string): string {
  if (isHeaderValue(value)) return value;
  throw usage(`${what} holds characters that no header can carry`, 'Look for line breaks and letters beyond Latin-1 in it.');
}

const usage = (what: string, remedy: string) => new StartError(EXIT.usage, `${what}.\n  ${remedy}`);
