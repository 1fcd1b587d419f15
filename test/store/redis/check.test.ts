import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRedis, type Info, judgeRedis, serverOf } from '../../../src/store/redis/check.ts';
import { closeRedis, openRedis } from '../../../src/store/redis/connect.ts';
import { parseRedisUrl } from '../../../src/store/redis/redis-url.ts';
import { atEnd, quiet, testFolder } from './support/machine.ts';
import { startRedis } from './support/plain-redis.ts';

const GOOD = ['maxmemory', '0', 'maxmemory-policy', 'noeviction', 'appendonly', 'yes', 'save', ''];

const ON_A_SERVER: [string, string[], RegExp[]][] = [
  ['all as it should be', [], []],
  [
    'eviction, no limit yet',
    ['maxmemory-policy', 'allkeys-lru'],
    [/once maxmemory is set .*allkeys-lru.*noeviction/],
  ],
  ['nothing on disk', ['appendonly', 'no'], [/saves nothing to disk.*loses all.*appendonly yes/]],
  [
    'snapshots only',
    ['appendonly', 'no', 'save', '3600 1 300 100'],
    [/only snapshots.*up to 3600 s.*appendonly yes/],
  ],
  ['snapshots and append-only file', ['save', '3600 1'], []],
];

test('what a server is warned about', async (t) => {
  const { url, admin } = await startRedis(t, { folder: testFolder(t) });
  const redis = await openRedis({
    target: parseRedisUrl(url),
    role: 'command',
    connectionName: 'test',
    log: quiet,
  });
  atEnd(t, () => closeRedis(redis));
  for (const [name, settings, expected] of ON_A_SERVER) {
    await t.test(name, async () => {
      await admin.config('SET', ...GOOD);
      if (settings.length > 0) await admin.config('SET', ...settings);
      const { warnings, version, server, runId } = await checkRedis(redis);
      assert.equal(warnings.length, expected.length, warnings.join('\n'));
      for (const [index, pattern] of expected.entries()) assert.match(warnings[index] ?? '', pattern);
      assert.match(version, /^\d+\.\d+\.\d+$/);
      assert.equal(server, 'redis');
      assert.match(runId, /^[0-9a-f]{40}$/);
    });
  }

  await t.test('eviction under a limit is refused', async () => {
    await admin.config('SET', ...GOOD);
    await admin.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'volatile-lru');
    await assert.rejects(checkRedis(redis), {
      code: 'REDIS_UNSUITABLE',
      message: /may evict data.*volatile-lru.*"maxmemory-policy noeviction"/,
    });
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    assert.deepEqual((await checkRedis(redis)).warnings, []);
  });

  await t.test('a replica is refused', async () => {
    await admin.replicaof('127.0.0.1', '1');
    await assert.rejects(checkRedis(redis), {
      code: 'REDIS_UNSUITABLE',
      message: /is a read-only replica; .*master, 127\.0\.0\.1:1,/,
    });
    await admin.replicaof('NO', 'ONE');
  });
});

test('what may not be looked at is a warning, but for INFO', async (t) => {
  const { port, admin } = await startRedis(t, { folder: testFolder(t) });
  await admin.config('SET', 'appendonly', 'no');
  const check = async (user: string) => {
    const target = parseRedisUrl(`redis://${user}:secret@127.0.0.1:${port}`);
    const redis = await openRedis({ target, role: 'command', connectionName: 'test', log: quiet });
    atEnd(t, () => closeRedis(redis));
    return checkRedis(redis);
  };
  await admin.call('ACL', 'SETUSER', 'noconfig', 'on', '>secret', '~*', '&*', '+@all', '-config');
  const noConfig = await check('noconfig');
  assert.equal(noConfig.warnings.length, 1);
  assert.match(noConfig.warnings[0] ?? '', /does not report whether it saves snapshots/);

  await admin.call('ACL', 'SETUSER', 'noinfo', 'on', '>secret', '~*', '&*', '+@all', '-info', '-config');
  await assert.rejects(check('noinfo'), {
    code: 'REDIS_UNSUITABLE',
    message: /no permission to run INFO.*; give .*docs\/redis\.md/,
  });
});

const info: Info = {
  redis_version: '7.2.4',
  role: 'master',
  maxmemory: '0',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
  aof_last_write_status: 'ok',
  rdb_last_bgsave_status: 'ok',
};

const JUDGED: [string, Info, string | undefined, RegExp[]][] = [
  ['good', info, undefined, []],
  ['oldest', { ...info, redis_version: '6.2.0' }, undefined, []],
  ['no version', { ...info, redis_version: undefined }, undefined, [/version.*6\.2/]],
  ['no policy', { ...info, maxmemory_policy: undefined }, undefined, [/maxmemory-policy/]],
  [
    'append-only file not written',
    { ...info, aof_last_write_status: 'err' },
    undefined,
    [/append-only file.*disk/],
  ],
  [
    'snapshot not written',
    { ...info, aof_enabled: '0', rdb_last_bgsave_status: 'err' },
    '60 1',
    [/up to 60 s/, /last snapshot.*disk/],
  ],
];

for (const [name, fields, save, expected] of JUDGED) {
  test(`judged: ${name}`, () => {
    const warnings = judgeRedis({ info: fields, save });
    assert.equal(warnings.length, expected.length);
    for (const [index, pattern] of expected.entries()) assert.match(warnings[index] ?? '', pattern);
    for (const warning of warnings) assert.match(warning, /^[A-Z][^\n]*\.$/);
  });
}

test('judged: too old', () => {
  const judge = () => judgeRedis({ info: { ...info, redis_version: '6.0.16' }, save: undefined });
  assert.throws(judge, { code: 'REDIS_UNSUITABLE', message: 'Redis 6.0.16 is too old; use 6.2 or later' });
});

test('which server it is, by its own version', () => {
  assert.deepEqual(serverOf(info), { server: 'redis', version: '7.2.4' });
  const valkey = { ...info, server_name: 'valkey', valkey_version: '8.0.1' };
  assert.deepEqual(serverOf(valkey), { server: 'valkey', version: '8.0.1' });
  const dragonfly = { ...info, dragonfly_version: 'df-v1.25.4' };
  assert.deepEqual(serverOf(dragonfly), { server: 'dragonfly', version: '1.25.4' });
});
