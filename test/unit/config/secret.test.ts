// The secret that an embedded gateway makes for itself.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadOrCreateSecret } from '../../../src/config/secret.js';
import { StartError } from '../../../src/errors/start-error.js';

describe('the generated secret', () => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-data-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  test('is made once, for this user only, and leaves no draft behind', () => {
    const data = join(directory, 'new', '.berth');
    const secret = loadOrCreateSecret(data);
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    expect(loadOrCreateSecret(data)).toBe(secret);
    expect(statSync(join(data, 'secret')).mode & 0o777).toBe(0o600);
    expect(readdirSync(data)).toEqual(['secret']);
  });

  test('that is cut short is refused, not replaced: what it sealed would be lost', () => {
    writeFileSync(join(directory, 'secret'), 'abc');
    expect(() => loadOrCreateSecret(directory)).toThrow(StartError);
    expect(readFileSync(join(directory, 'secret'), 'utf8')).toBe('abc');
  });

  test('without a directory that can be written names the way out', () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    expect(() => loadOrCreateSecret(join(file, 'below'))).toThrow(/cannot be read or written[\s\S]*BERTH_SECRET/);
    expect(existsSync(join(file, 'below'))).toBe(false);
  });
});
