import assert from 'node:assert/strict';
import { test } from 'node:test';
import { options, play } from './play.ts';

test(
  'a Redis whose clock runs as fast as NTP lets it and is set by little and by much, and machines that are suspended: no window is exceeded',
  options,
  async () => {
    const { sleeps } = await play({ redisRate: 1.0005, steps: true, sleeps: true, pulseMs: 5_000 });
    assert.ok(sleeps > 10, `${sleeps} sleeps`);
  },
);
