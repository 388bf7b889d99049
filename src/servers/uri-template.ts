// Does a URI fit an RFC 6570 template (levels 1-3)? Templates come from backends and URIs from clients, so matching is a walk over
// sets of positions, template × URI steps at most, and never a regular expression that either of them could make explode.

const MAX_TEMPLATE = 2048;
const MAX_URI = 8192;
const MAX_TOKENS = 64;

type Token =
  | { readonly kind: 'literal'; readonly text: string }
  /** Any run of characters outside `stops`, at least `min`; with `lead` it begins with that character, or is absent altogether. */
  | { readonly kind: 'run'; readonly lead: string; readonly stops: string; readonly min: 0 | 1 };

// Which characters end what an expression expands to, by its operator.
const OPERATORS: Readonly<Record<string, { readonly lead: string; readonly stops: string }>> = {
  '+': { lead: '', stops: '' },
  '#': { lead: '#', stops: '' },
  '.': { lead: '.', stops: '/?#' },
  '/': { lead: '/', stops: '?#' },
  ';': { lead: ';', stops: '/?#' },
  '?': { lead: '?', stops: '#' },
  '&': { lead: '&', stops: '#' },
};

export interface UriMatcher {
  matches(uri: string): boolean;
}

/** @returns undefined for a template that is malformed or beyond bounds: it is listed, but finds nothing */
export function compileUriTemplate(template: string): UriMatcher | undefined {
  const tokens = tokenize(template);
  return tokens && { matches: (uri) => uri.length <= MAX_URI && walk(tokens, uri) };
}

function tokenize(template: string): Token[] | undefined {
  if (template.length > MAX_TEMPLATE) return undefined;
  const tokens: Token[] = [];
  let at = 0;
  while (at < template.length) {
    if (tokens.length >= MAX_TOKENS) return undefined;
    const open = template.indexOf('{', at);
    const text = template.slice(at, open < 0 ? undefined : open);
    if (text.includes('}')) return undefined;
    if (text !== '') tokens.push({ kind: 'literal', text });
    if (open < 0) break;
    const close = template.indexOf('}', open);
    const token = close < 0 ? undefined : readExpression(template.slice(open + 1, close));
    if (!token) return undefined;
    tokens.push(token);
    at = close + 1;
  }
  return tokens;
}

function readExpression(body: string): Token | undefined {
  const operator = Object.hasOwn(OPERATORS, body[0] ?? '') ? OPERATORS[body[0] as string] : undefined;
  const variables = operator ? body.slice(1) : body;
  // Modifiers of level 4 (`*`, `:3`) only narrow what may be expanded: accepted, not checked.
  if (!/^[A-Za-z0-9_.%,:*-]+$/.test(variables)) return undefined;
  if (!operator) return { kind: 'run', lead: '', stops: '/?#', min: 1 };
  return { kind: 'run', lead: operator.lead, stops: operator.stops, min: operator.lead === '' ? 1 : 0 };
}

/** All positions of the URI that the tokens so far can end at; a match is one that ends at its end. */
function walk(tokens: readonly Token[], uri: string): boolean {
  let reached = new Uint8Array(uri.length + 1);
  reached[0] = 1;
  for (const token of tokens) {
    const next = token.kind === 'literal' ? stepLiteral(token.text, uri, reached) : stepRun(token, uri, reached);
    if (!next) return false;
    reached = next;
  }
  return reached[uri.length] === 1;
}

function stepLiteral(text: string, uri: string, reached: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const next = new Uint8Array(uri.length + 1);
  let any = false;
  for (let at = reached.indexOf(1); at >= 0; at = reached.indexOf(1, at + 1)) {
    if (!uri.startsWith(text, at)) continue;
    next[at + text.length] = 1;
    any = true;
  }
  return any ? next : undefined;
}

function stepRun(
  { lead, stops, min }: Extract<Token, { kind: 'run' }>,
  uri: string,
  reached: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const next = new Uint8Array(uri.length + 1);
  // `inside`: some run that began earlier reaches up to here.
  let inside = false;
  for (let at = 0; at <= uri.length; at++) {
    if (inside) next[at] = 1;
    if (reached[at] === 1 && min === 0) next[at] = 1;
    const character: string | undefined = uri[at];
    if (character === undefined) break;
    const goesOn: boolean = inside && !stops.includes(character);
    const begins = reached[at] === 1 && (lead === '' ? !stops.includes(character) : character === lead);
    inside = goesOn || begins;
  }
  return next;
}
