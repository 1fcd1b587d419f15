import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createTenant } from '../../src/app/tenant.ts';
import { type Environment, readConfig } from '../../src/config/config.ts';
import { createIndexes } from '../../src/console/indexes.ts';
import { createDirectory, type ShownTenant } from '../../src/console/tenants.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';

describe('the campaigns that a console keeps in memory', () => {
  let server: TestRedis;
  let redis: RedisClient;
  before(async () => {
    server = await openTestRedis();
    redis = await server.connect();
  });
  after(() => server.close());

  const configOf = (label: string, env: Environment = {}) => readConfig({ STANDDOWN_TENANT: label, ...env });

  function openDirectory(...labels: string[]) {
    const directory = createDirectory((config) => createTenant(config, redis));
    directory.set(labels.map((label) => configOf(label)));
    return directory;
  }

  /** With room for 1,000 rows. */
  function openIndexes(shown: ShownTenant) {
    let now = 0;
    const indexes = createIndexes({ mostRows: 1_000, monotonic: () => now });
    return {
      look: (number: number, rows: number) => indexes.of(shown, number, rows),
      pass: (ms: number): void => {
        now += ms;
      },
    };
  }

  it('are those that were looked at last', () => {
    const { look, pass } = openIndexes(openDirectory('a').find('a'));
    const [one, two] = [look(1, 400), look(2, 400)];
    assert.ok(one !== two);
    assert.ok(look(1, 400) === one, 'it is kept');
    pass(10_000);
    assert.ok(look(1, 400) === one);
    assert.equal(typeof look(3, 400), 'object');
    assert.ok(look(1, 400) === one, 'it was looked at after the other');
    pass(10_000);
    assert.ok(look(2, 400) !== two, 'it had to go');
  });

  it('refuse one for which there is no room beside those that are looked at, in words', () => {
    const { look, pass } = openIndexes(openDirectory('a').find('a'));
    const one = look(1, 600);
    assert.match(String(look(2, 401)), /Other large campaigns are open in the console/);
    assert.ok(look(1, 600) === one, 'the refused one took nothing away');
    pass(9_999);
    assert.match(String(look(2, 401)), /^Other/);
    assert.equal(typeof look(3, 400), 'object', 'a smaller one has room');
    pass(1);
    assert.equal(typeof look(2, 401), 'object');
    assert.match(String(look(1, 600)), /^Other/);
  });

  it('count what is still being built, and what has grown', () => {
    const { look, pass } = openIndexes(openDirectory('a').find('a'));
    look(1, 500);
    assert.equal(typeof look(2, 500), 'object');
    assert.match(String(look(1, 501)), /^Other/, 'it grew beyond the room');
    pass(10_000);
    assert.equal(typeof look(1, 501), 'object');
  });

  it('never hold one that is larger than all the room', () => {
    const { look } = openIndexes(openDirectory('a').find('a'));
    assert.match(
      String(look(1, 1_001)),
      /more than 1,000 actions, which is too many to search or count here\. Export/,
    );
    assert.equal(typeof look(1, 1_000), 'object');
  });

  it('are made anew when the settings of their tenant change, and only then', () => {
    const directory = openDirectory('a', 'b');
    const indexes = createIndexes();
    const look = (label: string) => indexes.of(directory.find(label), 1, 1);
    const [a, b, shown] = [look('a'), look('b'), directory.find('b')];
    const changes = directory.set([configOf('a', { RATE_LIMITS: '50/1m' }), configOf('b'), configOf('c')]);
    assert.deepEqual(changes, { added: ['c'], changed: ['a'], removed: [] });
    assert.ok(look('a') !== a);
    assert.equal(directory.find('a').tenant.limits.windows[0]?.max, 50);
    assert.ok(directory.find('b') === shown, 'with what is known of its past calls');
    assert.ok(look('b') === b);
    assert.deepEqual(directory.set([configOf('b')]).removed, ['a', 'c']);
    assert.throws(() => directory.find('a'), /no tenant "a"/);
  });
});
