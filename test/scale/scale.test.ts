import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildClock } from '../gauntlet/place.ts';
import { byKind, summarize } from './fleet.ts';
import { simulate } from './simulate.ts';
import type { Scale } from './tenant.ts';

/** Some hours of five tenants, one of which shares its application. Windows in which 200 requests take two turns of the longer one. */
const SMALL: Scale = {
  tenants: 5,
  requests: 300,
  windows: [
    { max: 20, lengthMs: 60_000 },
    { max: 100, lengthMs: 3_600_000 },
  ],
  seed: 3,
  beginWithinMs: 3_600_000,
};

const options = (await buildClock()) === null ? { skip: 'there is no C compiler (cc)' } : {};

test(
  'five tenants under crashes, outages, late and lost answers: no call too many, one end for each',
  options,
  async () => {
    const fleet = await simulate(SMALL);
    for (const tenant of fleet.tenants) assert.deepEqual(tenant.violations, [], `tenant ${tenant.index}`);
    const { alone, shared } = byKind(fleet);
    const all = summarize(fleet.tenants);
    assert.equal(all.ended, 5 * 300);
    assert.equal(all.excess, 0);
    assert.equal(alone.refused, 0);
    assert.ok(alone.use > 0.9, `${alone.use} of the quota used`);
    // That there was something to withstand.
    for (const what of ['crashes', 'outages', 'late', 'lost', 'repeats'] as const)
      assert.ok(all[what] > 0, what);
    assert.ok(shared.refused > 0, 'nobody was refused because of others');
  },
);

test('the same seed plays the same, in whatever parts', options, async () => {
  const scale = { ...SMALL, tenants: 2, requests: 30 };
  const whole = await simulate(scale);
  const parts = [await simulate(scale, { at: 0, of: 2 }), await simulate(scale, { at: 1, of: 2 })];
  const ordered = (tenants: typeof whole.tenants) => tenants.toSorted((a, b) => a.index - b.index);
  assert.deepEqual(ordered(parts.flatMap(({ tenants }) => tenants)), ordered(whole.tenants));
  const other = await simulate({ ...scale, seed: 4 });
  assert.notDeepEqual(ordered(other.tenants), ordered(whole.tenants));
});

test('finds a worker whose limits are a tenth too high', options, async () => {
  const { tenants } = await simulate({ ...SMALL, tenants: 2, requests: 70, broken: 'limits' });
  for (const tenant of tenants) {
    assert.ok(tenant.excess > 0);
    assert.match(tenant.violations.join('; '), /calls more than a window allows/);
  }
});

test('finds a worker that gives back the slots of lost calls', options, async () => {
  const { tenants } = await simulate({ ...SMALL, tenants: 2, requests: 120, broken: 'slots' });
  assert.ok(summarize(tenants).excess > 0);
  assert.ok(summarize(tenants).violated > 0);
});
