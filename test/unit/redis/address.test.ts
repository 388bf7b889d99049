import { describeAddress, parseRedisUrl } from '../../../src/redis/address.js';

describe('parseRedisUrl', () => {
  it.each([
    ['redis://localhost', { kind: 'single', host: 'localhost', port: 6379, db: 0, tls: false }],
    [
      'rediss://u:p%40ss@cache:7000/3',
      { kind: 'single', host: 'cache', port: 7000, db: 3, tls: true, username: 'u', password: 'p@ss' },
    ],
    ['redis://:secret@[::1]:7000', { kind: 'single', host: '::1', port: 7000, db: 0, tls: false, password: 'secret' }],
    ['unix:///run/berth/redis.sock', { kind: 'unix', path: '/run/berth/redis.sock' }],
    [
      'sentinel:one:26379,two/main/2',
      {
        kind: 'sentinel',
        sentinels: [
          { host: 'one', port: 26379 },
          { host: 'two', port: 26379 },
        ],
        name: 'main',
        db: 2,
        tls: false,
      },
    ],
    [
      'sentinel://:pw@one/main?tls=true&sentinelUsername=su&sentinelPassword=s%2Fp',
      {
        kind: 'sentinel',
        sentinels: [{ host: 'one', port: 26379 }],
        name: 'main',
        db: 0,
        tls: true,
        password: 'pw',
        sentinelUsername: 'su',
        sentinelPassword: 's/p',
      },
    ],
    [
      'cluster:u:p@one:7000,[fd00::2]:7001,three?tls=true',
      {
        kind: 'cluster',
        addresses: [
          { host: 'one', port: 7000 },
          { host: 'fd00::2', port: 7001 },
          { host: 'three', port: 6379 },
        ],
        tls: true,
        username: 'u',
        password: 'p',
      },
    ],
  ])('reads %s', (url, expected) => {
    expect(parseRedisUrl(url)).toEqual(expected);
  });

  it.each([
    '',
    'localhost:6379',
    'http://hunter2@localhost',
    'redis://:hunter2@',
    'redis://:hunter2@host/name',
    'redis://:hunter2@host:99999',
    'unix:relative.sock',
    'sentinel:u:hunter2@one:26379',
    'sentinel:u:hunter2@one/main/0/more',
    'sentinel:hunter2@one/main',
    'cluster:u:hunter2@one:0',
    'cluster:u:hunter2@one/3',
    'cluster:u:hunter2@@one',
    'cluster:u:hunter2@one?password=hunter2',
    'cluster:u:%zzhunter2@one',
  ])('refuses %p with 78, the forms, and no word of what was written', (url) => {
    let error: unknown;
    try {
      parseRedisUrl(url);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ name: 'StartError', exitCode: 78 });
    expect(String(error)).toContain('sentinel:');
    expect(String(error)).not.toContain('hunter2');
  });
});

describe('describeAddress', () => {
  it.each([
    ['rediss://u:hunter2@[::1]:7000/3', 'rediss://[::1]:7000/3'],
    ['unix:///run/redis.sock', 'unix:///run/redis.sock'],
    ['sentinel:u:hunter2@one,two/main?sentinelPassword=hunter2', 'sentinel:one:26379,two:26379/main'],
    ['cluster:u:hunter2@one,two', 'cluster:one:6379,two:6379'],
  ])('says where %s is, without credentials', (url, expected) => {
    expect(describeAddress(parseRedisUrl(url))).toBe(expected);
  });
});
