import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { readConfig } from '../../src/config/config.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { createDispatcher } from '../../src/defender/client.ts';
import { createSignIn } from '../../src/defender/sign-in.ts';
import { openStack, openTestRedis } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

test('a renewal that fails is not tried at each call: the token that stands serves meanwhile', async (t) => {
  const server = await openTestRedis();
  const stack = await openStack(server, { simulator: { tokenLifetimeMs: 600_000 } });
  const { simulator, env } = stack;
  const config = readConfig(env);
  assert(config.signIn);
  const dispatcher = createDispatcher({ connections: 1, ...config });
  t.after(async () => {
    await dispatcher.destroy();
    await stack.close();
    await server.close();
  });
  let aheadMs = 0;
  const clock = {
    ...systemClock,
    wall: () => systemClock.wall() + aheadMs,
    monotonic: () => systemClock.monotonic() + aheadMs,
  };
  const tries: boolean[] = [];
  const signIn = createSignIn({
    config: config.signIn,
    dispatcher,
    clock,
    timeoutMs: 5_000,
    timings: TIMINGS,
    onAsked: (ok) => void tries.push(ok),
  });
  const first = await signIn.token();
  simulator.setFaults([{ operation: 'token', fault: { kind: 'status', status: 503 } }]);
  // In the second half of its time; it holds for five minutes more.
  aheadMs = 301_000;
  for (let call = 0; call < 50; call++) assert.equal((await signIn.token()).accessToken, first.accessToken);
  // In the background: no call waits for the sign-in service while the token holds.
  await eventually(() => assert.deepEqual(tries, [true, false]));
  await signIn.token();
  assert.deepEqual(tries, [true, false], 'nor does each call try it');
  // It is tried again, and then does harm only once the token has ended.
  aheadMs += 16_000;
  assert.equal((await signIn.token()).accessToken, first.accessToken);
  await eventually(() => assert.deepEqual(tries, [true, false, false]));
  const asked = simulator.calls().filter(({ operation }) => operation === 'token');
  assert.equal(asked.length, tries.length, 'each of them reached the sign-in service');
  // Nor is it withheld while the service hangs.
  simulator.setFaults([{ operation: 'token', fault: { kind: 'hang' } }]);
  aheadMs += 16_000;
  assert.equal((await signIn.token()).accessToken, first.accessToken);
  simulator.setFaults([{ operation: 'token', fault: { kind: 'status', status: 503 } }]);
  aheadMs = 601_000;
  await assert.rejects(signIn.token());
});
