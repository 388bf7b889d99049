import { carriesToken } from '../../../src/admin/bearer-token.js';

describe('a bearer token', () => {
  it.each(['Bearer abc', 'bearer abc', 'Bearer   abc '])('is found in "%s"', (header) => {
    expect(carriesToken(header, 'abc')).toBe(true);
  });

  it.each([undefined, '', 'abc', 'Basic abc', 'Bearer', 'Bearer ', 'Bearer abcd', 'Bearer ab', 'Bearer abc def'])(
    'is not found in "%s"',
    (header) => {
      expect(carriesToken(header, 'abc')).toBe(false);
    },
  );
});
