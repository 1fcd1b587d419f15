import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFleet, type Member } from '../../src/app/fleet.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { type Config, type Environment, readConfig } from '../../src/config/config.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { eventually } from '../support/wait.ts';

const config = (tenant: string, more: Environment = {}) =>
  readConfig({ STANDDOWN_TENANT: tenant, CALL_TIMEOUT: '100ms', ...more });

/** A fleet whose members only tell what happens to them. */
function newFleet(onStart: (config: Config) => Promise<void> = async () => undefined) {
  const events: string[] = [];
  const failing = new Map<string, AbortController>();
  /** What a tenant's stop waits for. */
  const stopping = new Map<string, Promise<void>>();
  const fleet = createFleet({
    start: async (its) => {
      const tenant = its.tenant ?? '';
      events.push(`start ${tenant} ${its.concurrency}`);
      await onStart(its);
      const failed = new AbortController();
      failing.set(tenant, failed);
      const member: Member = {
        vitals: () => ({ turnedAt: 0, seenAt: 0, endedLanes: [], signIn: '', stopping: false }),
        failed: failed.signal,
        stop: async () => {
          await (stopping.get(tenant) ?? new Promise(setImmediate));
          events.push(`stopped ${tenant} ${its.concurrency}`);
        },
      };
      return member;
    },
    clock: systemClock,
    timings: { ...TIMINGS, firstTenantPauseMs: 5 },
    log: silentLog,
  });
  const running = () => [...fleet.standings()].flatMap(([label, { vitals }]) => (vitals ? [label] : []));
  return { fleet, events, failing, stopping, running };
}

describe('the tenants of one process', () => {
  it('are started, and only those that are new when there are others', async () => {
    const { fleet, events, running } = newFleet();
    assert.deepEqual(fleet.set([config('a')]), { added: ['a'], changed: [], removed: [] });
    assert.deepEqual(fleet.set([config('a'), config('b')]), { added: ['b'], changed: [], removed: [] });
    await eventually(() => assert.deepEqual(running(), ['a', 'b']));
    assert.deepEqual(events, ['start a 10', 'start b 10']);
    await fleet.stop();
    assert.deepEqual(events.slice(2).sort(), ['stopped a 10', 'stopped b 10']);
  });

  it('that changed have stopped before they start anew, a changed secret included', async () => {
    const { fleet, events, running } = newFleet();
    fleet.set([config('a'), config('b')]);
    await eventually(() => assert.equal(running().length, 2));
    const changes = fleet.set([config('a', { CONCURRENCY: '3' }), config('b')]);
    assert.deepEqual(changes, { added: [], changed: ['a'], removed: [] });
    await eventually(() => assert.ok(events.includes('start a 3')));
    assert.ok(events.indexOf('stopped a 10') < events.indexOf('start a 3'));
    const signIn = { AZURE_TENANT_ID: 'b', AZURE_CLIENT_ID: 'x' };
    fleet.set([config('b', { ...signIn, AZURE_CLIENT_SECRET: 'one-secret' })]);
    const again = fleet.set([config('b', { ...signIn, AZURE_CLIENT_SECRET: 'another-one' })]);
    assert.deepEqual(again.changed, ['b']);
    await fleet.stop();
  });

  it('that fail are started again by themselves, and the others go on', async () => {
    const { fleet, events, failing, running } = newFleet();
    fleet.set([config('a'), config('b')]);
    await eventually(() => assert.equal(running().length, 2));
    failing.get('a')?.abort(new Error('a lane has ended'));
    await eventually(() => assert.equal(events.filter((event) => event === 'start a 10').length, 2));
    assert.ok(events.indexOf('stopped a 10') < events.lastIndexOf('start a 10'));
    assert.ok(!events.includes('stopped b 10'));
    await fleet.stop();
  });

  it('that cannot start are tried again, and keep no other from starting', async () => {
    let tries = 0;
    const { fleet, running } = newFleet(async ({ tenant }) => {
      if (tenant === 'a' && ++tries === 1) throw new Error('not now');
    });
    fleet.set([config('a'), config('b')]);
    await eventually(() => assert.deepEqual(running().sort(), ['a', 'b']));
    assert.equal(tries, 2);
    await fleet.stop();
  });

  it('that are removed while they start are stopped', async () => {
    const starting = Promise.withResolvers<void>();
    const { fleet, events, running } = newFleet(() => starting.promise);
    fleet.set([config('a')]);
    await eventually(() => assert.deepEqual(events, ['start a 10']));
    assert.deepEqual(fleet.set([]).removed, ['a']);
    starting.resolve();
    await eventually(() => assert.deepEqual(events, ['start a 10', 'stopped a 10']));
    assert.deepEqual(running(), []);
  });

  it('do not wait for one that takes long to stop', async () => {
    const { fleet, events, stopping } = newFleet();
    fleet.set([config('a'), config('b')]);
    await eventually(() => assert.equal(events.length, 2));
    const slow = Promise.withResolvers<void>();
    stopping.set('a', slow.promise);
    assert.deepEqual(fleet.set([config('b')]).removed, ['a']);
    assert.deepEqual(fleet.set([config('b'), config('c')]).added, ['c']);
    await eventually(() => assert.ok(events.includes('start c 10')));
    // One that is wanted back meanwhile begins when its first run has ended, and not before.
    assert.deepEqual(fleet.set([config('a'), config('b'), config('c')]).added, ['a']);
    await eventually(() => assert.ok(events.includes('start c 10')));
    assert.equal(events.filter((event) => event === 'start a 10').length, 1);
    slow.resolve();
    await eventually(() => assert.equal(events.filter((event) => event === 'start a 10').length, 2));
    assert.ok(events.indexOf('stopped a 10') < events.lastIndexOf('start a 10'));
    await fleet.stop();
  });

  it('are all told to stop at once, and none begins any more', async () => {
    const { fleet, events, stopping } = newFleet();
    fleet.set([config('a'), config('b')]);
    await eventually(() => assert.equal(events.length, 2));
    const slow = Promise.withResolvers<void>();
    stopping.set('a', slow.promise);
    fleet.set([config('a', { CONCURRENCY: '3' }), config('b')]);
    const stopped = fleet.stop();
    await eventually(() => assert.ok(events.includes('stopped b 10')));
    assert.deepEqual(fleet.set([config('a'), config('b'), config('c')]), {
      added: [],
      changed: [],
      removed: [],
    });
    slow.resolve();
    await stopped;
    assert.deepEqual(events.slice(2).sort(), ['stopped a 10', 'stopped b 10']);
  });
});
