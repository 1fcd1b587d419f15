import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Operation } from '../../src/simulator/calls.ts';
import { createFaults, type FaultRule } from '../../src/simulator/faults.ts';
import { createRandom } from '../../src/simulator/random.ts';
import { ID, OTHER_ID } from './support.ts';

const fault = (status: number) => ({ kind: 'status', status }) as const;

/** The statuses that a row of cancels of these ids gets; 200 where no rule applies. */
function statuses(rules: FaultRule[], calls: (string | null)[], operation: Operation = 'cancel'): number[] {
  const faults = createFaults({ random: createRandom(1) });
  faults.replace(rules);
  return calls.map((id) => {
    const taken = faults.take({ operation, id }, 'service');
    return taken?.kind === 'status' ? taken.status : 200;
  });
}

describe('fault rules', () => {
  it('apply to cancel, get and list by default, and to token only by name', () => {
    const rule = { fault: fault(500) };
    for (const operation of ['cancel', 'get', 'list'] as const) {
      assert.deepEqual(statuses([rule], [ID], operation), [500]);
    }
    assert.deepEqual(statuses([rule], [null], 'token'), [200]);
    assert.deepEqual(statuses([{ ...rule, operation: 'token' }], [null], 'token'), [500]);
    assert.deepEqual(statuses([{ ...rule, operation: 'get' }], [ID], 'cancel'), [200]);
  });

  it('apply to named ids in any case', () => {
    assert.deepEqual(
      statuses([{ ids: [ID.toUpperCase()], fault: fault(403) }], [ID, OTHER_ID, null]),
      [403, 200, 200],
    );
  });

  it('apply so many times in total, or for each id', () => {
    const calls = [ID, OTHER_ID, ID, OTHER_ID, ID];
    assert.deepEqual(statuses([{ times: 2, fault: fault(503) }], calls), [503, 503, 200, 200, 200]);
    assert.deepEqual(
      statuses([{ times: 1, perId: true, fault: fault(503) }], calls),
      [503, 503, 200, 200, 200],
    );
    assert.deepEqual(
      statuses([{ times: 2, perId: true, fault: fault(503) }], calls),
      [503, 503, 503, 503, 200],
    );
  });

  it('come one after the other when the first is used up', () => {
    const rules = [
      { times: 1, fault: fault(500) },
      { times: 1, fault: fault(502) },
    ];
    assert.deepEqual(statuses(rules, [ID, ID, ID]), [500, 502, 200]);
  });

  it('apply to about the given share, the same one for the same seed', () => {
    const calls = new Array<string>(2_000).fill(ID);
    const drawn = statuses([{ rate: 0.25, fault: fault(500) }], calls);
    const share = drawn.filter((status) => status === 500).length / drawn.length;
    assert.ok(share > 0.21 && share < 0.29, `${share}`);
    assert.deepEqual(statuses([{ rate: 0.25, fault: fault(500) }], calls), drawn);
  });

  it('that use no quota sit at the gateway, the others behind it', () => {
    const faults = createFaults({ random: createRandom(1) });
    const call = { operation: 'cancel', id: ID } as const;
    faults.add({ counted: false, fault: fault(502) });
    assert.equal(faults.take(call, 'service'), null);
    assert.deepEqual(faults.take(call, 'gateway'), fault(502));
    faults.replace([{ fault: fault(500) }]);
    assert.equal(faults.take(call, 'gateway'), null);
    assert.deepEqual(faults.take(call, 'service'), fault(500));
  });
});
