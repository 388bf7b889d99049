// One Redis per test file, one world (prefix, time) per test.
import { type RedisServer, startRedis } from '../../support/redis-server.js';
import { World } from './world.js';

export function useWorld(): () => World {
  let redis: RedisServer | undefined;
  let world: World | undefined;
  beforeAll(async () => {
    redis = await startRedis();
  }, 30_000);
  beforeEach(async () => {
    world = await World.open((redis as RedisServer).url);
  });
  afterEach(() => world?.close());
  afterAll(() => redis?.stop());
  return () => world as World;
}
