import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { readConfig } from '../../src/config/config.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { createDispatcher } from '../../src/defender/client.ts';
import { createSignIn, SignInError } from '../../src/defender/sign-in.ts';
import type { FaultRule } from '../../src/simulator/index.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../support/stack.ts';

/** What msal keeps to itself must not decide: the sign-in service is asked, or it is not. */
describe('signing in', () => {
  let server: TestRedis;
  let stack: Stack;
  const opened: (() => Promise<void>)[] = [];

  before(async () => {
    server = await openTestRedis();
    stack = await openStack(server);
  });
  after(async () => {
    for (const close of opened) await close();
    await stack.close();
    await server.close();
  });

  /** A sign-in whose clock can be moved on, and what the service was asked. */
  function open(faults: FaultRule[] = []) {
    stack.simulator.setFaults(faults);
    const config = readConfig(stack.env);
    assert(config.signIn);
    const dispatcher = createDispatcher({ connections: 1, ...config });
    opened.push(() => dispatcher.destroy());
    let aheadMs = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
    const seen = stack.simulator.calls().length;
    const signIn = createSignIn({
      config: config.signIn,
      dispatcher,
      clock,
      timeoutMs: 5_000,
      timings: TIMINGS,
    });
    return {
      signIn,
      clock,
      requests: () =>
        stack.simulator
          .calls()
          .slice(seen)
          .filter(({ operation }) => operation === 'token').length,
      moveOn: (ms: number) => {
        aheadMs += ms;
      },
      failure: async (): Promise<SignInError> => {
        const error: unknown = await signIn.token().then(
          () => null,
          (reason) => reason,
        );
        assert(error instanceof SignInError, 'it signed in');
        return error;
      },
    };
  }

  const token = (fault: FaultRule['fault'], times: number): FaultRule => ({
    operation: 'token',
    times,
    fault,
  });

  it('asks again within 2 s of one 503, and is given a token', async () => {
    const { signIn, clock, failure, requests, moveOn } = open([token({ kind: 'status', status: 503 }, 1)]);
    const { retryAt } = await failure();
    assert.ok(retryAt - clock.monotonic() <= 2_000);
    for (let call = 0; call < 20; call++)
      assert.equal((await failure()).retryAt, retryAt, 'the same failure, told again');
    assert.equal(requests(), 1);
    moveOn(2_000);
    await signIn.token();
    assert.equal(requests(), 2);
  });

  it('waits for as long as the service says, and no longer', async () => {
    for (const status of [429, 503]) {
      const { signIn, failure, requests, moveOn } = open([
        token({ kind: 'status', status, retryAfter: 180 }, 1),
      ]);
      await failure();
      moveOn(178_000);
      await failure();
      assert.equal(requests(), 1);
      moveOn(2_000);
      await signIn.token();
      assert.equal(requests(), 2);
    }
  });

  it('never gives out a token again that was refused, also while no other is to be had', async () => {
    const { signIn, failure, moveOn } = open();
    const first = await signIn.token();
    stack.simulator.addFault(token({ kind: 'status', status: 503 }, 2));
    signIn.refuse(first);
    assert.ok(signIn.isRefused(first));
    await failure();
    moveOn(2_000);
    await failure();
    moveOn(4_000);
    const second = await signIn.token();
    assert.notEqual(second.accessToken, first.accessToken);
    assert.ok(!signIn.isRefused(second));
  });

  it('gives out no token whose 403 is in doubt, also while no other is to be had', async () => {
    const { signIn, failure, requests, moveOn } = open();
    const first = await signIn.token();
    stack.simulator.addFault(token({ kind: 'status', status: 503 }, 2));
    signIn.suspect(first);
    assert.equal(signIn.dueMs(), 0);
    await failure();
    await failure();
    assert.equal(requests(), 2, 'the service is left alone meanwhile');
    moveOn(2_000);
    await failure();
    moveOn(4_000);
    const second = await signIn.token();
    assert.notEqual(second.accessToken, first.accessToken);
    signIn.suspect(second);
    signIn.suspect(first);
    assert.notEqual(await signIn.token(), second, 'a late answer to the first changes nothing');
  });

  it('doubts a 403 to a token of before 5 minutes, or of before a resume, and gets a newer one', async (t) => {
    stack.simulator.setRoles(['Machine.Read.All']);
    t.after(() => stack.simulator.setRoles(['Machine.Read.All', 'Machine.Scan']));
    const { signIn, moveOn, requests } = open();
    const old = await signIn.token();
    assert.ok(signIn.believes(old));
    stack.simulator.setRoles(['Machine.Read.All', 'Machine.Scan']);
    moveOn(299_000);
    assert.ok(signIn.believes(old));
    moveOn(1_000);
    assert.ok(!signIn.believes(old));
    const renewed = await Promise.all([signIn.renewed(old), signIn.renewed(old)]);
    assert.deepEqual(renewed[0].roles, ['Machine.Read.All', 'Machine.Scan']);
    assert.equal(renewed[0], await signIn.renewed(old), 'one for all who doubt the old one');
    assert.equal(requests(), 2);
    assert.ok(signIn.believes(renewed[0]));
    signIn.doubt();
    assert.ok(!signIn.believes(renewed[0]));
    assert.ok(signIn.believes(await signIn.renewed(renewed[0])));
  });
});
