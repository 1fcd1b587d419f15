import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { startWorker } from '../../src/app/worker.ts';
import { silentLog } from '../../src/base/log.ts';
import { readConfig, SETTINGS } from '../../src/config/config.ts';
import { checkTimings, TIMINGS, type Timings, verifyLeaseFor } from '../../src/config/timings.ts';
import { ROOT, startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';
import { SHORT, TIMINGS_VARIABLE, withTimings } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';

describe('timings', () => {
  it('of production fit each other, and so do those of tests', () => {
    checkTimings(TIMINGS);
    checkTimings(SHORT);
  });

  it('outlast the calls that they are about, at every CALL_TIMEOUT', () => {
    for (const callTimeout of ['100ms', '1s', '30s', '90s', '2m', '5m']) {
      const { callTimeoutMs } = readConfig({ CALL_TIMEOUT: callTimeout });
      assert.ok(verifyLeaseFor(TIMINGS, callTimeoutMs) >= 2 * callTimeoutMs, callTimeout);
    }
    assert.throws(() => readConfig({ CALL_TIMEOUT: '301s' }), /CALL_TIMEOUT/);
    assert.throws(() => readConfig({ CALL_TIMEOUT: '99ms' }), /CALL_TIMEOUT/);
  });

  const BROKEN: [what: string, some: Partial<Timings>, says: RegExp][] = [
    [
      'a grace that is over before a worker has looked three times',
      { graceMs: 5_999 },
      /graceMs.*three of pulseMs/,
    ],
    ['looks that a grace does not wait for', { pulseMs: 2_001 }, /graceMs.*three of pulseMs/],
    ['a look again that holds the lane', { lookAgainMs: 1_001 }, /lookAgainMs/],
    ['a lock that a busy worker loses', { lockMs: 1_999 }, /lockMs: is shorter/],
    ['an entry that is taken from whom takes it in', { inboxIdleMs: 1_999 }, /inboxIdleMs: is shorter/],
    ['a lock that outlasts the promise', { lockMs: 22_501 }, /lockMs/],
    ['an entry that lies longer than promised', { inboxIdleMs: 15_001 }, /inboxIdleMs.*promised/],
    [
      'a read that puts off the claims',
      { inboxBlockMs: 10_001, inboxClaimMs: 10_000 },
      /inboxBlockMs.*inboxClaimMs/,
    ],
    [
      'a read that a connection does not bear',
      { inboxBlockMs: 20_001, inboxClaimMs: 20_001, inboxIdleMs: 1 },
      /bears/,
    ],
    ['a turn that ends while its list is waited for', { feedLeaseMs: 9_999 }, /feedLeaseMs/],
    ['a claim that ends while its notice is posted', { noticeClaimMs: 19_999 }, /noticeClaimMs/],
    ['a hold that ends between two looks', { noticeGapMs: 14_999 }, /noticeGapMs/],
    ['a 400 that is looked at only once', { checkMs: 9_999 }, /checkMs/],
    ['a 400 that ends before an outage is known', { checkMs: 24_999 }, /checkMs.*downMs/],
    ['retries that come sooner and sooner', { firstRetryMs: 60_001 }, /firstRetryMs/],
    ['probes that come sooner and sooner', { firstProbeMs: 30_001 }, /firstProbeMs/],
    ['starts that come sooner and sooner', { firstTenantPauseMs: 60_001 }, /firstTenantPauseMs/],
    ['nothing', { lockMs: 0 }, /lockMs is no time/],
    ['what is no number', { pulseMs: Number.NaN }, /pulseMs is no time/],
    ['no pause between two tries', { noticeAgainMs: [] }, /noticeAgainMs is no time/],
  ];
  for (const [what, some, says] of BROKEN) {
    it(`do not fit with ${what}`, () =>
      assert.throws(() => checkTimings({ ...TIMINGS, ...some }), { code: 'INTERNAL', message: says }));
  }

  it('that do not fit start no worker', async () => {
    const deps = { config: readConfig({ STANDDOWN_TENANT: 'x' }), log: silentLog, path: '' };
    await assert.rejects(startWorker({ ...deps, timings: withTimings({ graceMs: 1 }) }), {
      code: 'INTERNAL',
    });
  });

  describe('are no settings', () => {
    let server: TestRedis;

    before(async () => {
      server = await openTestRedis();
    });
    after(() => server.close());

    it('neither by name, nor in the example of an environment', async () => {
      const upper = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
      const known = Object.keys(TIMINGS).flatMap((name) => [upper(name), upper(name.replace(/Ms$/, ''))]);
      const example = await readFile(`${ROOT}/.env.example`, 'utf8');
      const names = [...SETTINGS, ...[...example.matchAll(/^#? ?([A-Z][A-Z_]+)=/gm)].map(([, name]) => name)];
      assert.ok(names.length > 40);
      for (const name of names)
        for (const timing of [...known, TIMINGS_VARIABLE]) assert.notEqual(String(name), timing);
    });

    it('and a worker as it is installed does not hear of those of a test', async () => {
      const stack = await openStack(server);
      try {
        // One that heard of them would not start.
        const env = { ...stack.env, [TIMINGS_VARIABLE]: JSON.stringify({ graceMs: 1 }) };
        const worker = startCli(['worker'], { env });
        await eventually(() => assert.match(worker.stderr, /worker started/));
        worker.kill('SIGTERM');
        assert.equal(await worker.exited, 0);
        const heard = startCli(['worker'], { env: stack.env, timings: withTimings({ graceMs: 1 }) });
        assert.equal(await heard.exited, 1);
        assert.match(heard.stderr, /timings: graceMs/);
      } finally {
        await stack.close();
      }
    });
  });
});
