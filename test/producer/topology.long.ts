import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Cluster, Redis } from 'ioredis';
import { openProducer, type Producer } from '../../src/index.ts';
import type { Keys } from '../../src/store/keys.ts';
import { openCluster, openSentinels, type Place } from '../gauntlet/place.ts';
import { atEnd, eventually, testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { plainServer } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';
import { all, openFor } from './support/producers.ts';

/** Puts everything in, lets the servers change places, and only then has a worker begin. */
async function outlives(
  t: TestContext,
  place: Place,
  own: Redis | Cluster,
  failOver: (keys: Keys) => Promise<void>,
): Promise<void> {
  atEnd(t, async () => own.disconnect());
  const server = plainServer({ url: place.url });
  atEnd(t, () => server.close());
  const stack = await openStack(server);
  atEnd(t, () => stack.close());
  const tenant = stack.tenant.label;
  const byUrl = await openFor(t, { redis: place.url, tenant });
  const lent = await openFor(t, { redis: own, tenant });
  const [first = '', second = '', third = '', ...rest] = stack.addActions(23);
  const cancel = (producer: Producer, machineActionId: string) =>
    producer.cancel({ machineActionId, comment: 'x' });
  const handles = [await cancel(byUrl, first), await cancel(lent, second)];
  const waiting = handles.map((handle) => handle.outcome({ timeoutMs: 60_000 }));
  await byUrl.submit(rest.slice(0, 10), { campaign: 'undo', comment: 'x', priority: 'urgent' });
  const following = [byUrl, lent].map((producer) => all(producer.follow('undo')));
  await failOver(stack.tenant.keys);
  assert.equal((await lent.submit(rest, { campaign: 'undo', comment: 'x' })).accepted, 10);
  handles.push(await cancel(byUrl, third));
  await stack.startWorker();
  for (const outcome of waiting) assert.equal((await outcome).outcome, 'cancelled');
  assert.equal((await handles[2]?.outcome({ timeoutMs: 60_000 }))?.outcome, 'cancelled');
  for (const followed of following) {
    assert.deepEqual(
      (await followed).map(({ position }) => position),
      rest.map((_, index) => index + 1),
    );
  }
  assert.equal((await byUrl.status('undo')).state, 'done');
  for (const id of [first, second, third, ...rest]) assert.equal(stack.simulator.callsFor(id).length, 1);
}

// Side by side: what they wait for is mostly Redis.
describe('a producer on several servers', { concurrency: true }, () => {
  it('a cluster does as well, by its URL and by a connection that is lent', async (t) => {
    const folder = testFolder(t);
    const { admin, port } = await startRedis(t, {
      folder,
      args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
    });
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await eventually(async () =>
      assert.match(String(await admin.call('CLUSTER', 'INFO')), /cluster_state:ok/),
    );
    const url = `redis-cluster://127.0.0.1:${port}`;
    const server = plainServer({ url });
    atEnd(t, () => server.close());
    const stack = await openStack(server);
    atEnd(t, () => stack.close());
    await stack.startWorker();
    const tenant = stack.tenant.label;
    const own = new Cluster([{ host: '127.0.0.1', port }]);
    atEnd(t, async () => own.disconnect());
    const [first = '', second = '', ...rest] = stack.addActions(12);

    const byUrl = await openFor(t, { redis: url, tenant });
    const handle = await byUrl.cancel({ machineActionId: first, comment: 'x' });
    assert.equal((await handle.outcome({ timeoutMs: 60_000 })).outcome, 'cancelled');
    await byUrl.submit(rest, { campaign: 'undo', comment: 'x' });

    const lent = await openProducer({ redis: own, tenant });
    const urgent = await lent.cancel({ machineActionId: second, comment: 'x' }, { priority: 'urgent' });
    assert.equal((await urgent.outcome({ timeoutMs: 60_000 })).outcome, 'cancelled');
    assert.equal((await all(lent.follow('undo'))).length, rest.length);
    await lent.close();
    assert.equal(own.status, 'ready');
  });

  it('sentinels that name another master: what waits goes on there', async (t) => {
    const place = await openSentinels();
    atEnd(t, () => place.close());
    const { hosts, name } = /\/\/(?<hosts>[^/]+)\/(?<name>.+)$/.exec(place.url)?.groups ?? {};
    const sentinels = (hosts ?? '')
      .split(',')
      .map((at) => ({ host: '127.0.0.1', port: Number(at.split(':')[1]) }));
    await outlives(t, place, new Redis({ name: name ?? '', sentinels }), async () => {
      const before = await place.server();
      // WAIT waits for what its own connection wrote, and so for all that was written before that.
      await before.admin.set('written', '1');
      assert.ok((await before.admin.wait(1, 60_000)) >= 1);
      await place.failOver?.();
      await eventually(async () => assert.notEqual((await place.server()).port, before.port));
      // Until then it takes writes that will be lost.
      await eventually(async () => assert.equal((await before.admin.role())[0], 'slave'));
    });
  });

  it('a master of a cluster that is killed: what waits goes on with its replica', async (t) => {
    const place = await openCluster();
    atEnd(t, () => place.close());
    const { nodes } = place;
    assert.ok(nodes);
    const own = new Cluster(nodes.ports.map((port) => ({ host: '127.0.0.1', port })));
    await outlives(t, place, own, async (keys) => {
      await nodes.watch(keys.state);
      const before = await nodes.owner();
      await before.admin.set(`${keys.prefix}:written`, '1');
      assert.ok((await before.admin.wait(1, 60_000)) >= 1);
      const [, , replicas] = (await before.admin.role()) as [string, number, [host: string, port: string][]];
      const next = new Redis(Number(replicas[0]?.[1]));
      atEnd(t, async () => next.disconnect());
      await before.kill();
      await eventually(async () => {
        if ((await next.role())[0] === 'master') return;
        assert.match(String(await next.call('CLUSTER', 'INFO')), /cluster_state:fail/);
        // An election may take several turns.
        await next.call('CLUSTER', 'FAILOVER', 'TAKEOVER');
      });
      await eventually(async () => assert.notEqual((await nodes.owner()).port, before.port));
    });
  });
});
