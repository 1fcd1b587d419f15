import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '../../../src/base/errors.ts';
import { parseRedisUrl } from '../../../src/store/redis/redis-url.ts';
import { describeRedis, type RedisTarget } from '../../../src/store/redis/target.ts';

const GOOD: [string, RedisTarget, string][] = [
  ['redis://host', { kind: 'single', tls: false, host: 'host', port: 6379, db: 0 }, 'redis://host:6379/0'],
  [
    ' redis://host:7000/3 ',
    { kind: 'single', tls: false, host: 'host', port: 7000, db: 3 },
    'redis://host:7000/3',
  ],
  [
    'redis://host/?db=4',
    { kind: 'single', tls: false, host: 'host', port: 6379, db: 4 },
    'redis://host:6379/4',
  ],
  [
    'rediss://me:p%40ss%3A%2F@cache.example.com:6380/1',
    {
      kind: 'single',
      tls: true,
      host: 'cache.example.com',
      port: 6380,
      db: 1,
      username: 'me',
      password: 'p@ss:/',
    },
    'rediss://cache.example.com:6380/1',
  ],
  [
    'redis://:secret@[::1]:6379',
    { kind: 'single', tls: false, host: '::1', port: 6379, db: 0, password: 'secret' },
    'redis://[::1]:6379/0',
  ],
  [
    'redis://:a:b@c@host',
    { kind: 'single', tls: false, host: 'host', port: 6379, db: 0, password: 'a:b@c' },
    'redis://host:6379/0',
  ],
  ['unix:///run/redis.sock', { kind: 'unix', path: '/run/redis.sock', db: 0 }, 'unix:///run/redis.sock'],
  [
    '/run/my%20redis.sock?db=1',
    { kind: 'unix', path: '/run/my redis.sock', db: 1 },
    'unix:///run/my redis.sock?db=1',
  ],
  [
    'unix://me:secret@/run/redis.sock?db=2',
    { kind: 'unix', path: '/run/redis.sock', db: 2, username: 'me', password: 'secret' },
    'unix:///run/redis.sock?db=2',
  ],
  [
    'redis-sentinel://:secret@h1,h2:26380/mymaster?db=2&sentinelPassword=other+secret',
    {
      kind: 'sentinel',
      tls: false,
      sentinels: [
        { host: 'h1', port: 26379 },
        { host: 'h2', port: 26380 },
      ],
      master: 'mymaster',
      db: 2,
      password: 'secret',
      sentinelPassword: 'other+secret',
    },
    'redis-sentinel://h1:26379,h2:26380/mymaster?db=2',
  ],
  [
    'rediss-sentinel://h1/m?sentinelUsername=u',
    {
      kind: 'sentinel',
      tls: true,
      sentinels: [{ host: 'h1', port: 26379 }],
      master: 'm',
      db: 0,
      sentinelUsername: 'u',
    },
    'rediss-sentinel://h1:26379/m?db=0',
  ],
  [
    'redis-cluster://me:secret@h1:7000,h2:7001/0',
    {
      kind: 'cluster',
      tls: false,
      nodes: [
        { host: 'h1', port: 7000 },
        { host: 'h2', port: 7001 },
      ],
      username: 'me',
      password: 'secret',
    },
    'redis-cluster://h1:7000,h2:7001',
  ],
  [
    'REDISS-CLUSTER://h1',
    { kind: 'cluster', tls: true, nodes: [{ host: 'h1', port: 6379 }] },
    'rediss-cluster://h1:6379',
  ],
];

for (const [url, target, described] of GOOD) {
  test(`${url} is understood`, () => {
    assert.deepEqual(parseRedisUrl(url), target);
    assert.equal(describeRedis(parseRedisUrl(url)), described);
  });
}

const BAD: [string, RegExp][] = [
  ['', /not a valid URL/],
  ['localhost:6379', /not a valid URL/],
  ['redis:/hunter2', /not a valid URL/],
  ['http://:hunter2@host', /unknown scheme "http:\/\/"; use redis:\/\//],
  ['redis://', /invalid host; use name/],
  ['redis://:hunter2@', /invalid host; use name/],
  ['redis://:hunter2@host:0', /port between 1 and 65535/],
  ['redis://:hunter2@host:70000', /port between 1 and 65535/],
  ['redis://:hunter2/more@host:6379', /percent-encoded/],
  ['redis://:hunter2?more@host:6379', /percent-encoded/],
  ['redis://:hunter2#more@host:6379', /percent-encoded/],
  ['redis://:hunter2%@host', /%25/],
  ['redis://hunter2@host', /user name without a password/],
  ['redis://user:@host', /password is empty/],
  ['redis://:hunter2@h1,h2', /only one host is allowed/],
  ['redis://:hunter2@host/one', /database must be a number/],
  ['redis://:hunter2@host/-1', /database must be a number/],
  ['redis://:hunter2@host/1/2', /only a database number/],
  ['redis://:hunter2@host?hunter2=1', /unknown parameter after "\?"; use db/],
  ['unix://:hunter2@host/run/redis.sock', /absolute path/],
  ['unix://', /absolute path/],
  ['redis-sentinel://:hunter2@h1:26379', /master's name must follow the sentinels/],
  [
    'redis-sentinel://h1/m?sentinelpassword=hunter2',
    /unknown parameter after "\?"; use db, sentinelUsername, sentinelPassword/,
  ],
  ['redis-cluster://:hunter2@h1/1', /only database 0/],
  ['redis-cluster://:hunter2@h1?db=1', /parameters after "\?" are not supported/],
];

for (const [url, expected] of BAD) {
  test(`${url} is refused without repeating a secret`, () => {
    try {
      parseRedisUrl(url);
    } catch (error) {
      assert.match(messageOf(error), expected);
      assert.match(messageOf(error), /^REDIS_URL: [^\n]*$/);
      assert.doesNotMatch(messageOf(error), /hunter2/);
      return;
    }
    assert.fail('it was accepted');
  });
}
