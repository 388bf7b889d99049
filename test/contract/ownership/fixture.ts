// One Redis per test file, and how many runs a property gets.
import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../../support/redis-server.js';

export function useRedis(): () => Redis {
  let server: RedisServer | undefined;
  let redis: Redis | undefined;
  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.socket);
  }, 30_000);
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });
  return () => redis as Redis;
}

/** `npm run test:model` asks for more than what every run of the suite can afford; MODEL_RUNS multiplies, MODEL_SEED repeats. */
export function runs(usual: number): { readonly numRuns: number; readonly seed?: number } {
  const factor = Number(process.env.MODEL_RUNS ?? 1);
  const seed = process.env.MODEL_SEED;
  return { numRuns: Math.max(1, Math.round(usual * factor)), ...(seed ? { seed: Number(seed) } : {}) };
}

export const LONG_MS = 3_600_000;
