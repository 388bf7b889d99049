// What `berth check` finds odd about what is served.
import { servedWarnings } from '../../../src/config/served-warnings.js';
import { loadText } from './load-text.js';

const BACKENDS = 'mcpServers: { a: { command: x }, b: { command: y } }\n';
const warningsOf = (text: string) => servedWarnings(loadText(text).config);

test.each([
  [
    'a filter that other endpoints undo',
    `${BACKENDS}servers: { s: { backends: [a], tools: { exclude: [rm] } } }`,
    /^servers\.s\.tools: what it hides is served at \/mcp and \/servers\/a\/mcp all the same.*expose\.all and expose\.backends.*mcpServers\.a\.tools$/,
  ],
  [
    'an include that /mcp undoes',
    `${BACKENDS}expose: { backends: false }\nservers: { s: { backends: [a, b], tools: { include: [get] } } }`,
    /served at \/mcp all the same.*set expose\.all to false/,
  ],
  [
    'a server like one backend',
    `${BACKENDS}servers: { s: { backends: [a] } }`,
    /^servers\.s: serves the same as \/servers\/a\/mcp$/,
  ],
  ['a server like all', `${BACKENDS}servers: { s: { backends: [b, a] } }`, /^servers\.s: serves the same as \/mcp$/],
  [
    'a server that shows nothing',
    `${BACKENDS}expose: { all: false, backends: false }\nservers: { s: { backends: [a], tools: { exclude: ["*"] } } }`,
    /shows no tool at all/,
  ],
  [
    'a backend that shows nothing',
    'mcpServers: { a: { command: x, enabled_tools: [] } }',
    /^mcpServers\.a\.tools: shows no tool at all$/,
  ],
  ['a backend filter with its prefix', 'mcpServers: { a: { command: x, disabledTools: [a__rm] } }', /did you mean "rm"\?$/],
  [
    'a pattern about another backend',
    `${BACKENDS}expose: { all: false, backends: false }\nservers: { s: { backends: [a], tools: { exclude: [b__x] } } }`,
    /exclude: "b__x" is about the backend "b", which this server does not have: it matches nothing/,
  ],
  [
    'a pattern about a misspelt backend',
    'mcpServers: { tickets: { command: x } }\nexpose: { all: false, backends: false }\nservers: { s: { backends: [tickets], tools: { include: ["tikets__*"] } } }',
    /did you mean "tickets__\*"\?$/,
  ],
  [
    'an open listener',
    `${BACKENDS}listen: 0.0.0.0:80\nhosts: ["*"]\nauth: { mode: none }`,
    /^auth\.mode: none, and 0\.0\.0\.0:80 can be reached from outside/,
  ],
])('tells of %s', (_name, text, expected) => {
  expect(warningsOf(text)).toEqual([expect.stringMatching(expected)]);
});

test.each([
  [
    'a boundary',
    `${BACKENDS}expose: { all: false, backends: false }\nservers: { s: { backends: [a], tools: { exclude: [rm] } } }`,
  ],
  [
    'a filter that the backend has, too',
    'mcpServers: { a: { command: x, tools: { exclude: [rm, mv] } } }\nservers: { s: { backends: [a], tools: { exclude: [rm] } } }',
  ],
  ['another prefix', `${BACKENDS}servers: { s: { backends: [a], prefix: always } }`],
  [
    'a pattern with two underscores that names no backend',
    `${BACKENDS}expose: { all: false, backends: false }\nservers: { s: { backends: [a], tools: { include: [some__thing, "*__x"] } } }`,
  ],
  ['nothing written', BACKENDS],
])('has nothing to say of %s', (_name, text) => {
  expect(warningsOf(text)).toEqual([]);
});
