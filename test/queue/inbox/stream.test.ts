import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { StanddownError } from '../../../src/base/errors.ts';
import { bytesToGuid } from '../../../src/base/guid.ts';
import { silentLog } from '../../../src/base/log.ts';
import { TIMINGS } from '../../../src/config/timings.ts';
import { createInbox } from '../../../src/queue/inbox/inbox.ts';
import { createInboxStream } from '../../../src/queue/inbox/stream.ts';
import type { Ledger } from '../../../src/store/ledger/ledger.ts';
import { GREATEST_ID } from '../../../src/store/redis/entry-id.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { createProbe, newIds } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';
import { eventually } from '../../support/wait.ts';
import { add, ask } from './support.ts';

/* The inbox by itself: nobody takes jobs out of the lanes. */

let server: TestRedis;
let redis: RedisClient;
let tenant: TestTenant;
let running: { stop(): Promise<void> } | null;

before(async () => {
  server = await openTestRedis();
  redis = await server.connect();
});
after(() => server.close());
beforeEach(async () => {
  // What the dead have held is looked for once, at the beginning.
  tenant = await newTenant(redis, {}, { ...TIMINGS, inboxClaimMs: 3_600_000 });
  running = null;
});
afterEach(() => running?.stop());

async function start(ledger: Ledger = tenant.ledger): Promise<RedisClient> {
  const { keys, timings } = tenant;
  const [own, blocking] = [await server.connect('worker'), await server.connect('worker')];
  const more = { defaultComment: 'x', wall: Date.now, log: silentLog, clock: systemClock };
  const inbox = createInbox({ redis: own, blocking, keys, ledger, timings, ...more });
  inbox.start();
  running = inbox;
  return blocking;
}

const waiting = (lane: 'cancel' | 'cancel-urgent') => redis.llen(tenant.keys.lane(lane, 'wait'));

async function addMany(count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push(await add(tenant, { machineActionId: randomUUID() }));
  return ids;
}

/** A worker has read these and is gone: those in `idle` for long. */
async function heldByTheDead(idle: readonly string[]): Promise<void> {
  const { inbox } = tenant.keys;
  await redis.call('XGROUP', 'CREATE', inbox, 'workers', '0');
  await redis.call('XREADGROUP', 'GROUP', 'workers', 'worker', 'COUNT', '10000', 'STREAMS', inbox, '>');
  await redis.call('XCLAIM', inbox, 'workers', 'worker', '0', ...idle, 'IDLE', '20000', 'JUSTID');
}

it('what a dead worker held is found behind entries that somebody removed', async () => {
  const entries = await addMany(201);
  await heldByTheDead(entries);
  await redis.xdel(tenant.keys.inbox, ...entries.slice(0, 200));
  await start();
  await eventually(async () => assert.equal(await waiting('cancel'), 1));
});

it('what a dead worker held is found behind what others have just read', async () => {
  const entries = await addMany(701);
  await heldByTheDead(entries.slice(700));
  await start();
  await eventually(async () => assert.equal(await waiting('cancel'), 1));
  assert.equal(await redis.xlen(tenant.keys.inbox), 700, 'theirs stay theirs');
});

it('few entries are read at once while they are large, and many while they are small', async () => {
  const { keys, timings } = tenant;
  const blocking = await server.connect('worker');
  const stream = createInboxStream({ blocking, keys, timings });
  await stream.prepare();
  const large = 'x'.repeat(512 * 1024);
  for (let i = 0; i < 60; i++) await add(tenant, { machineActionId: randomUUID(), large });
  const [first = 0, ...others] = await readAll(stream, 60);
  assert.ok(first <= 20, `${first} at first`);
  assert.ok(Math.max(...others) <= 8, `then ${others.join(', ')}`);
  await addMany(3_000);
  const parts = await readAll(stream, 3_000);
  assert.ok(Math.max(...parts) === 500 && parts.length < 20, parts.join(', '));
  stream.close();
});

/** How many entries each read gave, until there were so many. */
async function readAll(stream: ReturnType<typeof createInboxStream>, count: number): Promise<number[]> {
  const parts: number[] = [];
  for (let left = count; left > 0; ) {
    const { length } = await stream.read(1_000);
    parts.push(length);
    left -= length;
  }
  return parts;
}

for (const [what, later, told] of [
  ['in the ms in which its entry was added', 0, 1],
  ['later', 1_000, 0],
] as const) {
  it(`an outcome that was decided ${what} is ${told ? 'told once more' : 'not told again'}`, async () => {
    const { keys, ledger } = tenant;
    const probe = createProbe(tenant);
    const [number, id] = [await probe.campaign('done'), newIds(1)];
    await ledger.submit(number, id);
    await probe.decide(id, number, 'cancelled');
    const decidedAt = (await probe.read(number)).decidedAt ?? 0;
    const already = await redis.xlen(keys.outcomes);
    const machineActionId = bytesToGuid(id);
    const at = `${decidedAt - later}-0`;
    await redis.call('XADD', keys.inbox, at, 'machineActionId', machineActionId);
    await start();
    await eventually(async () => assert.equal(await redis.xlen(keys.inbox), 0));
    assert.equal((await redis.xlen(keys.outcomes)) - already, told);
    assert.equal((await ask(tenant, machineActionId))?.['outcome'], 'cancelled');
  });
}

for (const fields of [{}, { campaign: 'again' }]) {
  it(`an outcome of before is no answer for an id that is opened again meanwhile: ${JSON.stringify(fields)}`, async () => {
    const { keys, ledger } = tenant;
    const probe = createProbe(tenant);
    const [number, id] = [await probe.campaign('again'), newIds(1)];
    await ledger.submit(number, id);
    await probe.decide(id, number, 'unresolved');
    const told = await redis.xlen(keys.outcomes);
    let reopened = 0;
    const overtaken: Ledger = {
      ...ledger,
      awaitOutcomes: async (ids) => {
        const standing = await ledger.awaitOutcomes(ids);
        reopened += await ledger.retry(number, ids, ['unresolved']);
        return standing;
      },
    };
    await start(overtaken);
    await add(tenant, { machineActionId: bytesToGuid(id), ...fields });
    await eventually(async () => assert.equal(await redis.xlen(keys.inbox), 0));
    assert.equal(reopened, 1);
    assert.deepEqual(await ask(tenant, bytesToGuid(id)), { outcome: null });
    assert.equal(await redis.xlen(keys.outcomes), told);
    assert.equal(await waiting('cancel'), 'campaign' in fields ? 0 : 1);
  });
}

for (const fields of [{ priority: 'urgent' }, { campaign: 'wave' }]) {
  it(`an entry is looked at again whose taking in failed while the lane is full: ${JSON.stringify(fields)}`, async () => {
    const lane = Array.from({ length: 1_100 }, (_, i) => `job-${i}`);
    await redis.lpush(tenant.keys.lane('cancel', 'wait'), ...lane);
    let failures = 0;
    const failing: Ledger = {
      ...tenant.ledger,
      awaitOutcomes: async (ids) => {
        if (failures++ === 0) throw new StanddownError('REDIS_FAILED', 'the connection broke');
        return tenant.ledger.awaitOutcomes(ids);
      },
    };
    await start(failing);
    await add(tenant, { machineActionId: randomUUID(), ...fields });
    await eventually(async () => assert.equal(await redis.xlen(tenant.keys.inbox), 0));
    assert.ok(failures > 1);
  });
}

for (const [what, id] of [
  ['the greatest id', GREATEST_ID],
  ['an id by a clock of microseconds', '1796000000000000-0'],
] as const) {
  for (const lane of ['empty', 'full'] as const) {
    it(`others can add again after ${what}, while the lane is ${lane}, and nothing is lost`, async () => {
      const { keys } = tenant;
      const before = await addMany(3);
      if (lane === 'full') await redis.lpush(keys.lane('cancel', 'wait'), ...Array(1_100).fill('job'));
      await redis.call('XADD', keys.inbox, id, 'machineActionId', randomUUID());
      if (id === GREATEST_ID) await assert.rejects(addMany(1), /last possible ID/);
      await start();
      const added = await eventually(async () => {
        const entry = await add(tenant, { machineActionId: randomUUID(), priority: 'urgent' });
        assert.ok(Number(entry.split('-')[0]) < Date.now() + 3_600_000, entry);
        return entry;
      });
      await eventually(async () => assert.ok((await waiting('cancel-urgent')) > 0, added));
      if (lane === 'full') {
        await eventually(async () => {
          const left = await redis.xrange(keys.inbox, '-', '+');
          assert.deepEqual(
            left.map(([entry]) => entry),
            before,
            'they wait for their place',
          );
        });
        await redis.ltrim(keys.lane('cancel', 'wait'), 0, 0);
      }
      await eventually(async () => assert.equal(await redis.xlen(keys.inbox), 0));
      const jobs = await redis.lrange(keys.lane('cancel', 'wait'), 0, -1);
      const taken = jobs.filter((job) => job !== 'job').sort();
      assert.deepEqual(taken, [...before, id].map((entry) => `inbox-${entry}`).sort());
    });
  }
}
