import assert from 'node:assert/strict';
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

/** Redis' clock is set by a library that has to be compiled. */
export const options = (await buildClock()) === null ? { skip: 'there is no C compiler (cc)' } : {};

/** Two tenants in some weather; nothing that must not happen may. */
export async function play(weather: Weather) {
  const fleet = await simulate({ ...SMALL, weather });
  for (const tenant of fleet.tenants) assert.deepEqual(tenant.violations, [], `tenant ${tenant.index}`);
  const all = summarize(fleet.tenants);
  assert.equal(all.excess, 0);
  assert.equal(all.ended, 300);
  return { ...all, sleeps: fleet.tenants.reduce((sum, { sleeps }) => sum + sleeps, 0) };
}
