import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeDuration } from '../../src/base/duration.ts';

it('the page counts down in the words of the server', async () => {
  const place = new URL('../../src/console/client/duration.js', import.meta.url).href;
  const client = ((await import(place)) as { describeDuration: typeof describeDuration }).describeDuration;
  const steps = [
    0, 1, 999, 1_000, 1_001, 29_500, 59_000, 59_001, 60_000, 89_999, 90_000, 3_569_999, 3_570_000,
  ];
  const hours = [3_600_000, 5_400_000, 86_399_999, 172_769_999, 172_770_000, 172_800_000, 176_400_000, 9e9];
  for (const ms of [...steps, ...hours, ...Array.from({ length: 500 }, (_, index) => index * 997_331)])
    assert.equal(client(ms), describeDuration(ms), `${ms} ms`);
});
