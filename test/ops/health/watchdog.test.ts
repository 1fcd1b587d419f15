import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../src/base/clock.ts';
import { watchRedisLoop } from '../../../src/ops/health/watchdog.ts';
import { ROOT, startNode } from '../../support/processes.ts';
import { eventually } from '../../support/wait.ts';

const HANGING = join(ROOT, 'test/ops/health/hanging.ts');

describe('the watchdog of the event loop', { concurrency: true }, () => {
  it('ends a process that hangs, and says so', async () => {
    const child = startNode(HANGING, ['10', 'hang']);
    assert.equal(await child.line(), 'watched');
    assert.equal(await child.line(), 'worked');
    assert.equal(await child.exited, 'SIGKILL');
    assert.match(child.stderr, /the event loop was blocked for 1 s; the watchdog is ending this process/);
  });

  it('leaves alone one that works for longer than that, and does not keep it', async () => {
    const child = startNode(HANGING, ['50']);
    assert.equal(await child.exited, 0, child.stderr);
  });

  it('leaves alone one that was stopped for longer than that', async () => {
    const child = startNode(HANGING, ['60']);
    // Its own clock is what matters: it is stopped for thrice the time in which it would have to turn.
    assert.equal(await child.line(), 'watched');
    child.kill('SIGSTOP');
    await delay(3_000);
    child.kill('SIGCONT');
    assert.equal(await child.exited, 0, child.stderr);
  });
});

describe('the watchdog of the Redis loop', () => {
  const watch = (turnedAt: () => number, answers: boolean, clock = systemClock) => {
    const told: number[] = [];
    let asked = 0;
    const end = watchRedisLoop({
      turnedAt,
      answers: async () => {
        asked++;
        return answers;
      },
      onStuck: (silentMs) => told.push(silentMs),
      clock,
      timeoutMs: 200,
    });
    return { told, end, asked: () => asked };
  };

  it('tells when the loop does not come round although Redis answers', async () => {
    const since = systemClock.monotonic();
    const { told, end } = watch(() => since, true);
    try {
      await eventually(() => assert.ok(told.length > 0));
      assert.ok(Number(told[0]) >= 200);
    } finally {
      end();
    }
  });

  it('has nothing to tell while Redis is away', async () => {
    const since = systemClock.monotonic();
    const { told, end, asked } = watch(() => since, false);
    try {
      await eventually(() => assert.ok(asked() >= 5));
      assert.deepEqual(told, []);
    } finally {
      end();
    }
  });

  it('has nothing to tell of a loop that comes round', async () => {
    let looks = 0;
    const turned = () => {
      looks++;
      return 0;
    };
    const { told, end, asked } = watch(turned, true, { ...systemClock, monotonic: () => 0 });
    try {
      await eventually(() => assert.ok(looks >= 5));
      assert.deepEqual([told, asked()], [[], 0]);
    } finally {
      end();
    }
  });
});
