import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ActionMix, DEMO_MIX, makeActions } from '../../src/simulator/index.ts';
import { countBy } from '../../src/simulator/summary.ts';

const NOW = Date.parse('2026-05-01T12:00:00Z');
const GUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('made-up actions', () => {
  it('are the same for the same seed and differ for another', () => {
    const make = (seed: number) => makeActions({ count: 50, seed, mix: DEMO_MIX, nowMs: NOW });
    assert.deepEqual(make(3), make(3));
    assert.notDeepEqual(make(3).ids, make(4).ids);
  });

  it('have distinct version 4 GUIDs and plausible fields', () => {
    const { actions, ids } = makeActions({ count: 5_000, nowMs: NOW, withinMs: 600_000 });
    assert.equal(new Set(ids).size, 5_000);
    assert.equal(new Set(actions.map((action) => action.computerDnsName)).size, 5_000);
    assert.equal(new Set(actions.map((action) => action.type)).size, 9);
    for (const action of actions) {
      assert.match(action.id, GUID_V4);
      assert.match(action.machineId, /^[0-9a-f]{40}$/);
      const created = Date.parse(action.creationDateTimeUtc);
      assert.ok(created < NOW && created >= NOW - 601_000, action.creationDateTimeUtc);
      assert.ok(Date.parse(action.lastUpdateDateTimeUtc) >= created);
    }
  });

  it('are mixed in exactly the shares asked for', () => {
    const { actions, ids, unknownIds, forbiddenIds, faults } = makeActions({ count: 1_000, mix: DEMO_MIX });
    assert.deepEqual(
      countBy(actions, (action) => action.status),
      { Pending: 810, InProgress: 100, Succeeded: 40, Failed: 10, Cancelled: 20 },
    );
    assert.deepEqual([ids.length, unknownIds.length, forbiddenIds.length], [1_000, 20, 10]);
    const known = new Set(actions.map((action) => action.id));
    assert.ok(unknownIds.every((id) => !known.has(id) && ids.includes(id)));
    assert.ok(forbiddenIds.every((id) => known.has(id)));
    assert.deepEqual(faults[0]?.ids, forbiddenIds);
  });

  it('are neither more nor fewer than asked for, however the shares divide', () => {
    const mix: ActionMix = { pending: 1, failed: 1, unknown: 1 };
    for (const count of [0, 1, 2, 3, 10, 101]) {
      assert.equal(makeActions({ count, mix }).ids.length, count);
    }
  });

  it('can be of one type', () => {
    const { actions } = makeActions({ count: 5, type: 'Isolate' });
    assert.deepEqual(new Set(actions.map((action) => action.type)), new Set(['Isolate']));
  });
});
