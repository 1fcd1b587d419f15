import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildClock } from '../gauntlet/place.ts';
import { summarize } from './fleet.ts';
import { simulate } from './simulate.ts';
import type { Scale } from './tenant.ts';
import type { Weather } from './weather.ts';

const SMALL: Scale = {
  tenants: 2,
  requests: 150,
  windows: [
    { max: 12, lengthMs: 60_000 },
    { max: 60, lengthMs: 3_600_000 },
  ],
  seed: 5,
  beginWithinMs: 3_600_000,
};

const options = (await buildClock()) === null ? { skip: 'there is no C compiler (cc)' } : {};

async function play(weather: Weather) {
  const fleet = await simulate({ ...SMALL, weather });
  for (const tenant of fleet.tenants) assert.deepEqual(tenant.violations, [], `tenant ${tenant.index}`);
  const all = summarize(fleet.tenants);
  assert.equal(all.excess, 0);
  assert.equal(all.ended, 300);
  return { ...all, sleeps: fleet.tenants.reduce((sum, { sleeps }) => sum + sleeps, 0) };
}

test(
  'a Redis whose clock runs as fast as NTP lets it: no window is exceeded, as the server counts',
  options,
  async () => {
    await play({ redisRate: 1.0005 });
  },
);

test('besides, its clock is set by little and by much, and machines are suspended', options, async () => {
  const { sleeps } = await play({ redisRate: 1.0005, steps: true, sleeps: true, pulseMs: 5_000 });
  assert.ok(sleeps > 10, `${sleeps} sleeps`);
});

test('a Redis that is 1.5 s away: slowly, but all is called', options, async () => {
  const { use } = await play({ redisLegMs: 1_500 });
  assert.ok(use > 0.8, `${use} of the quota used`);
});
