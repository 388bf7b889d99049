import { startRedisCluster, type RedisCluster } from '../../support/redis-server.js';
import { describeGeneration } from './generation.suite.js';
import { Harness } from './harness.js';
import { describeIndexes } from './indexes.suite.js';
import { describeLeases } from './leases.suite.js';
import { describeOpenIds } from './open-ids.suite.js';
import { describeRecords } from './records.suite.js';
import { describeTokens } from './tokens.suite.js';
import { describeWrites } from './writes.suite.js';

describe('the directory on Redis Cluster with three masters', () => {
  let redis: RedisCluster | undefined;
  let harness: Harness | undefined;
  const use = () => harness as Harness;

  beforeAll(async () => {
    redis = await startRedisCluster();
    harness = await Harness.open(redis.url);
  }, 30_000);

  afterAll(async () => {
    await harness?.close();
    await redis?.stop();
  });

  describeRecords(use);
  describeWrites(use);
  describeIndexes(use);
  describeOpenIds(use);
  describeLeases(use);
  describeGeneration(use);
  describeTokens(use);
});
