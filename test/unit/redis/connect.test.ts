import { commandTimeoutMs, reconnectDelayMs } from '../../../src/redis/connect.js';
import { plainError } from '../../../src/redis/watch.js';

it('times commands out before the next renewal is due', () => {
  for (const leaseMs of [1000, 2000, 6000, 30_000]) expect(commandTimeoutMs(leaseMs)).toBeLessThan(leaseMs / 3);
});

it('backs off up to about a second, for ever', () => {
  expect(reconnectDelayMs(1)).toBeLessThan(150);
  for (const attempt of [6, 50, 100_000]) {
    expect(reconnectDelayMs(attempt)).toBeGreaterThanOrEqual(1000);
    expect(reconnectDelayMs(attempt)).toBeLessThanOrEqual(1050);
  }
});

it('strips the command and its arguments from an error', () => {
  const error = Object.assign(new Error('ERR no'), { code: 'E', command: { name: 'auth', args: ['hunter2'] } });
  expect(plainError(error)).toMatchObject({ message: 'ERR no', code: 'E' });
  expect(plainError(error)).not.toHaveProperty('command');
  expect(plainError('odd').message).toBe('odd');
});
