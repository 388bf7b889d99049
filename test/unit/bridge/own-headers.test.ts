// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written like templates
import { readHeaders } from '../../../src/bridge/own-headers.js';

test('names and values, with and without a blank, variables from the environment', () => {
  const given = ['X-A:1', 'X-B: two: parts ', 'X-C: Bearer ${TOKEN}', 'X-D: ${NONE:-else}', 'X-E: $${TOKEN}'];
  expect(readHeaders(given, { TOKEN: 's3cret' })).toEqual({
    'x-a': '1',
    'x-b': 'two: parts',
    'x-c': 'Bearer s3cret',
    'x-d': 'else',
    'x-e': '${TOKEN}',
  });
});

test('BERTH_TOKEN is a bearer token; a header that is given wins; an empty one is none', () => {
  expect(readHeaders([], { BERTH_TOKEN: ' t \n' })).toEqual({ authorization: 'Bearer t' });
  expect(readHeaders(['authorization: Basic x'], { BERTH_TOKEN: 't' })).toEqual({ authorization: 'Basic x' });
  expect(readHeaders([], { BERTH_TOKEN: '' })).toEqual({});
});

test.each([
  'Mcp-Session-Id: x',
  'mcp-protocol-version: 1',
  'Mcp-Name: x',
  'Accept: */*',
  'Content-Type: text/plain',
  'Content-Length: 1',
  'Host: x',
  'Transfer-Encoding: chunked',
  'Last-Event-ID: 1',
  'X-Forwarded-Internally: true',
  'x-berth-owner: me',
])('%s is reserved: 64', (one) => {
  expect(() => readHeaders([one], {})).toThrow(
    expect.objectContaining({ exitCode: 64, message: expect.stringContaining('reserved') }),
  );
});

test.each([
  ['no colon', 'X-A s3cret'],
  ['no name', ': s3cret'],
  ['a bad name', 'X A: s3cret'],
  ['a line break', 'X-A: s3cret\r\nX-B: 1'],
  ['beyond Latin-1', 'X-A: s3cret🦊'],
  ['an unset variable', 'X-A: s3cret ${NOT_SET}'],
])('%s: 64, without the value', (_name, one) => {
  expect(() => readHeaders([one], {})).toThrow(
    expect.objectContaining({ exitCode: 64, message: expect.not.stringContaining('s3cret') }),
  );
});
