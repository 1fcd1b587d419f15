import assert from 'node:assert/strict';
import { Bench } from 'tinybench';
import type { Column } from '../../src/cli/table.ts';
import { createProbe, idAt, newIds } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant } from '../support/tenant.ts';
import { fixed } from './measure.ts';

export const MICRO_COLUMNS: readonly Column[] = [
  { title: '' },
  { title: 'p50, µs', align: 'right' },
  { title: 'p99, µs', align: 'right' },
  { title: 'samples', align: 'right' },
];

export interface Step {
  name: string;
  p50Us: number;
  p99Us: number;
  samples: number;
}

/** Each id is called once at most, so their number is set; tinybench tries a step once or twice before it begins. */
const TIMES = 2_000;
const WARM_UP = 500;
const SPARE = 10;

/** The steps of the way one by one, one after the other, with the way to Redis and back. */
export async function timeSteps(): Promise<Step[]> {
  const redis = await openTestRedis('bench');
  const bench = new Bench({
    iterations: TIMES,
    time: 0,
    warmupIterations: WARM_UP,
    warmupTime: 0,
    throws: true,
  });
  try {
    const client = await redis.connect();
    bench.add('a round trip to Redis (PING)', async () => void (await client.ping()));
    const { callOne } = await openLedger(redis, '1000000/1s', 0);
    bench.add('begin and finish, window nearly empty', callOne);
    const loaded = await openLedger(redis, '100000/1m,100000/1h', 1_500);
    bench.add('begin and finish, 1,500 to 4,000 slots in the window', loaded.callOne);
    const full = await openLedger(redis, '100/1m,1500/1h', 100);
    bench.add('begin, window full: how long to wait', full.askOne);
    await bench.run();
  } finally {
    await redis.close();
  }
  return bench.tasks.map(({ name, result }) => {
    assert.equal(result.state, 'completed', name);
    const { p50, p99, samplesCount } = result.latency;
    return { name, p50Us: 1_000 * p50, p99Us: 1_000 * p99, samples: samplesCount };
  });
}

export function microRows(steps: readonly Step[]): string[][] {
  return steps.map(({ name, p50Us, p99Us, samples }) => [
    name,
    fixed(p50Us, 1),
    fixed(p99Us, 1),
    fixed(samples, 0),
  ]);
}

/** A campaign of open ids, so many of which were called. */
async function openLedger(redis: TestRedis, limits: string, called: number) {
  const tenant = await newTenant(await redis.connect(), { RATE_LIMITS: limits, URGENT_RESERVE: 'none' });
  const probe = createProbe(tenant);
  const number = await probe.campaign('bench');
  const count = called + TIMES + WARM_UP + SPARE;
  const ids = newIds(count);
  await tenant.ledger.expect(count);
  await tenant.ledger.submit(number, ids);
  let next = 0;
  const callOne = async () => {
    const id = idAt(ids, next++);
    await probe.finish(id, number, await probe.grant(id, number));
  };
  for (let call = 0; call < called; call++) await callOne();
  return {
    callOne,
    askOne: async () => {
      const { answer } = await probe.begin(idAt(ids, next), number);
      assert.equal(answer.kind, 'window');
    },
  };
}
