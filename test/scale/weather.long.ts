import assert from 'node:assert/strict';
import { test } from 'node:test';
import { options, play } from './play.ts';

test(
  'a Redis whose clock runs as fast as NTP lets it: no window is exceeded, as the server counts',
  options,
  async () => {
    await play({ redisRate: 1.0005 });
  },
);

test('a Redis that is 1.5 s away: slowly, but all is called', options, async () => {
  const { use } = await play({ redisLegMs: 1_500 });
  assert.ok(use > 0.8, `${use} of the quota used`);
});
