import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemory, type Sighting } from '../../../src/store/budget/memory.ts';

const BASE = 1_800_000_000_000;

/** Redis' clock reads BASE + t when the monotonic one reads t. */
function seen(t: number, slots: [string, number][] = [], seq = 0): Sighting {
  return { now: BASE + t, epoch: 'e', seq, slots: slots.map(([slot, at]) => [slot, BASE + at]) };
}

function memoryAt(t = 0) {
  const memory = createMemory({ keepMs: 1_000, graceMs: 300 });
  memory.learn('cancel', seen(t), t, t);
  return memory;
}

describe('a worker’s memory of the slots', () => {
  it('expects of Redis what it saw last', () => {
    const memory = memoryAt();
    memory.learn('cancel', seen(100, [], 7), 99, 101);
    const { epoch, seq, time, seen: since } = memory.expect('cancel', 150);
    assert.deepEqual([epoch, seq, since], ['e', 7, BASE + 100]);
    assert.ok(Math.abs(time - (BASE + 150)) < 1);
  });

  it('is sure that Redis’ clock had not jumped before its first look once somebody has looked since, or a grace is over', () => {
    const looks: [t: number, steady: number, isSure: boolean][] = [
      [100, -600_000, false],
      [150, 400, false],
      [200, 99, false],
      [250, 100, true],
      [260, 100, true],
    ];
    const memory = createMemory({ keepMs: 1_000, graceMs: 300 });
    for (const [t, steady, isSure] of looks) {
      memory.learn('cancel', { ...seen(t), steady: BASE + steady }, t, t);
      assert.equal(memory.expect('cancel', t).time !== 0, isSure, `at ${t}`);
    }
    const alone = createMemory({ keepMs: 1_000, graceMs: 300 });
    for (const t of [100, 399, 400]) {
      alone.learn('cancel', { ...seen(t), steady: BASE }, t, t);
      assert.equal(alone.expect('cancel', t).time !== 0, t === 400, `at ${t}`);
    }
  });

  it('expects nothing before the first look', () => {
    const { epoch, seq, time, seen: since } = createMemory({ keepMs: 1, graceMs: 1 }).expect('cancel', 5);
    assert.deepEqual([epoch, seq, time, since], ['', 0, 0, 0]);
  });

  it('keeps its own slots in monotonic time', () => {
    const memory = memoryAt();
    memory.took('cancel', '1', BASE + 500, 100);
    assert.deepEqual(memory.stamps('cancel'), [500]);
    memory.settled('cancel', '1', 120);
    assert.deepEqual(memory.stamps('cancel'), [120]);
    memory.took('cancel', '2', BASE + 600, 100);
    memory.returned('cancel', '2');
    assert.deepEqual(memory.remembered('cancel'), [{ slot: '1', stamp: BASE + 120, own: true }]);
  });

  it('knows what a call takes, and follows when that changes', () => {
    const memory = memoryAt();
    assert.equal(memory.latencyMs('cancel'), null);
    const call = (slot: number, takenAt: number, ms: number) => {
      memory.took('cancel', String(slot), BASE + 9_000, takenAt);
      memory.settled('cancel', String(slot), takenAt + ms);
    };
    call(1, 10, 200);
    assert.equal(memory.latencyMs('cancel'), 200);
    memory.took('cancel', '2', BASE + 9_000, 300);
    memory.returned('cancel', '2');
    assert.equal(memory.latencyMs('cancel'), 200, 'what was not sent took no time');
    for (let slot = 3; slot < 40; slot++) call(slot, 400 + slot, 1_000);
    assert.ok(Math.abs(Number(memory.latencyMs('cancel')) - 1_000) < 20);
    assert.equal(memory.latencyMs('get'), null);
  });

  it('knows when nothing of an operation can have changed: nothing in flight, and the number as it was seen then', () => {
    const memory = memoryAt();
    memory.learn('cancel', seen(10, [['5', 4]], 5), 10, 10);
    assert.equal(memory.quietAt('cancel', 20), 5);
    assert.equal(memory.quietAt('get', 20), null, 'it was never looked at');

    memory.learn('get', seen(30, [], 5), 30, 30);
    // Somebody else takes a slot for Get; seen only in passing, at a look at cancel.
    memory.learn('cancel', seen(40, [], 6), 40, 40);
    assert.equal(memory.quietAt('cancel', 50), 6);
    assert.equal(memory.quietAt('get', 50), 5, 'so the number gives the change away');

    memory.learn('cancel', seen(60, [['7', 400]], 7), 60, 60);
    assert.equal(memory.quietAt('cancel', 70), null, 'another’s call is in flight');
    memory.learn('cancel', seen(80, [['7', 75]], 7), 80, 80);
    assert.equal(memory.quietAt('cancel', 90), 7);

    memory.took('cancel', '8', BASE + 500, 100);
    assert.equal(memory.quietAt('cancel', 100), null, 'an own call is in flight');
    memory.settled('cancel', '8', 110);
    assert.equal(memory.quietAt('cancel', 120), 7);

    memory.entered('another', 9);
    assert.equal(memory.quietAt('cancel', 130), null, 'after a loss everything is looked at again');
  });

  it('never moves a slot past the end of its promise', () => {
    const memory = memoryAt();
    memory.took('cancel', '1', BASE + 500, 100);
    memory.settled('cancel', '1', 9_000);
    assert.deepEqual(memory.stamps('cancel'), [500]);
  });

  it('takes in the slots of others, and what becomes of them', () => {
    const memory = memoryAt();
    memory.learn(
      'cancel',
      seen(10, [
        ['a', 5],
        ['b', 400],
      ]),
      10,
      10,
    );
    assert.deepEqual(memory.stamps('cancel'), [5, 400]);
    memory.learn('cancel', seen(20, [['b', 15]]), 20, 20);
    assert.deepEqual(memory.stamps('cancel'), [5, 15]);
    assert.ok(memory.remembered('cancel').every(({ own }) => !own));
  });

  it('forgets another’s slot that was in flight and was given back', () => {
    const memory = memoryAt();
    memory.learn(
      'cancel',
      seen(10, [
        ['a', 400],
        ['b', 400],
      ]),
      10,
      10,
    );
    memory.learn('cancel', seen(20, [['b', 400]]), 20, 20);
    assert.deepEqual(
      memory.remembered('cancel').map(({ slot }) => slot),
      ['b'],
    );
  });

  it('keeps another’s slot whose answer was lost: its time has only passed', () => {
    const memory = memoryAt();
    memory.learn('cancel', seen(10, [['a', 400]]), 10, 10);
    memory.learn('cancel', seen(500), 500, 500);
    assert.deepEqual(memory.stamps('cancel'), [400]);
  });

  it('does not let Redis overwrite what it knows of its own', () => {
    const memory = memoryAt();
    memory.took('cancel', '1', BASE + 500, 100);
    memory.settled('cancel', '1', 100);
    memory.learn('cancel', seen(110, [['1', 108]]), 110, 110);
    assert.deepEqual(memory.stamps('cancel'), [100]);
  });

  it('drops slots that no window reaches any more', () => {
    const memory = memoryAt();
    memory.learn('cancel', seen(10, [['a', 5]]), 10, 10);
    memory.learn('cancel', seen(1_004), 1_004, 1_004);
    assert.deepEqual(memory.stamps('cancel'), [5]);
    memory.learn('cancel', seen(1_006), 1_006, 1_006);
    assert.deepEqual(memory.stamps('cancel'), []);
  });

  it('keeps operations apart', () => {
    const memory = memoryAt();
    memory.took('get', '1', BASE + 500, 100);
    assert.deepEqual(memory.stamps('cancel'), []);
    assert.deepEqual(memory.operations(), ['get']);
  });

  it('keeps what it remembers when another epoch opens, and wants to see everything again', () => {
    const memory = memoryAt();
    memory.took('cancel', '1', BASE + 500, 100);
    memory.entered('f', 99);
    assert.deepEqual(memory.stamps('cancel'), [500]);
    const { epoch, seq, seen: since } = memory.expect('cancel', 1);
    assert.deepEqual([epoch, seq, since], ['f', 99, 0]);
  });

  describe('notices that Redis’ clock jumped', () => {
    for (const by of [-600_000, -50, 50, 600_000]) {
      it(`by ${by} ms`, () => {
        const memory = memoryAt();
        const jump = memory.learn('cancel', seen(100 + by), 99, 101);
        assert.ok(Math.abs(jump - by) <= 2, String(jump));
        assert.equal(memory.learn('cancel', seen(200 + by), 199, 201), 0, 'once');
      });
    }

    it('and not that an answer was slow', () => {
      const memory = memoryAt();
      // Redis read its clock somewhere between sending and receiving, 8 s apart.
      for (const at of [101, 4_000, 8_099]) assert.equal(memory.compare(BASE + at, 100, 8_100), 0);
    });

    it('also when a slow answer hid the jump at first', () => {
      const memory = memoryAt();
      assert.equal(memory.compare(BASE + 7_000, 100, 8_100), 0, 'could be either');
      const jump = memory.compare(BASE + 9_000 + 500, 8_999, 9_001);
      assert.ok(Math.abs(jump - 500) <= 12, String(jump));
    });

    it('and not that two clocks drift a little apart', () => {
      const memory = memoryAt();
      for (let t = 2_000; t <= 3_600_000; t += 2_000) {
        assert.equal(memory.compare(BASE + t * 1.0005, t - 0.2, t + 0.2), 0, `after ${t} ms`);
      }
    });
  });

  it('bears with a Redis that is far away as much longer as its answers took of late', () => {
    const memory = memoryAt();
    assert.equal(memory.expect('cancel', 0).tolerance, 1_000);
    assert.equal(memory.compare(BASE + 2_500, 1_000, 4_000), 0);
    assert.equal(memory.expect('cancel', 4_000).tolerance, 4_000);
    assert.equal(memory.compare(BASE + 99_500, 90_000, 100_000), 0);
    assert.equal(memory.expect('cancel', 4_000).tolerance, 6_000, 'within reason');
    for (let t = 200_000; t < 200_020; t++) memory.compare(BASE + t, t, t + 1);
    assert.ok(memory.expect('cancel', 4_000).tolerance < 1_100, 'until they come sooner again');
  });

  describe('after a sleep of its machine', () => {
    const SLEPT = 600_000;

    it('has the slots from before as old as they are, and no call older than it can be that had no answer by then', () => {
      const memory = memoryAt();
      memory.learn('cancel', seen(100, [['other', 50]], 1), 100, 100);
      memory.took('cancel', 'settled', BASE + 500, 60);
      memory.settled('cancel', 'settled', 90);
      memory.took('cancel', 'flying', BASE + 500, 95);
      memory.took('cancel', 'late', BASE + 500, 96);
      memory.settled('cancel', 'late', 110);
      memory.took('cancel', 'lost', BASE + 98, 20);
      memory.compare(BASE + SLEPT + 120, 120, 120);
      memory.took('cancel', 'new', BASE + SLEPT + 700, 130);
      memory.slept();
      const stamps = memory.remembered('cancel').map(({ slot, stamp }) => [slot, Math.round(stamp - BASE)]);
      assert.deepEqual(Object.fromEntries(stamps), {
        other: 50,
        settled: 90,
        // Its call went on when the machine did, and has as much time left as it had before.
        flying: SLEPT + 500,
        late: SLEPT + 110,
        lost: 98,
        new: SLEPT + 700,
      });
    });

    /** Wall clock and system as they stand before and after 600 s that the monotonic clock does not show. */
    const cases = [
      { wall: SLEPT, told: SLEPT, cause: 'suspended' },
      { wall: 0, told: SLEPT, cause: 'suspended' },
      { wall: SLEPT, told: 0, cause: 'perhaps' },
      { wall: 0, told: 0, cause: 'redis' },
      { wall: SLEPT / 2, told: 0, cause: 'redis' },
      { wall: SLEPT / 2, told: SLEPT / 2, cause: 'redis' },
    ] as const;
    for (const { wall, told, cause } of cases) {
      it(`wall clock ${wall / 1_000} s on, system tells of ${told / 1_000} s: ${cause}`, () => {
        let [wallMs, suspendedMs] = [5_000_000, 70_000];
        const signs = { wall: () => wallMs, suspendedMs: () => suspendedMs };
        const memory = createMemory({ keepMs: 1_000, graceMs: 300, signs });
        memory.compare(BASE, 0, 0);
        [wallMs, suspendedMs] = [wallMs + 10 + wall, suspendedMs + told];
        assert.equal(memory.compare(BASE + SLEPT + 10, 10, 10), SLEPT);
        assert.equal(memory.lastJump()?.cause, cause);
      });
    }

    it('which cannot set a clock back: then it was Redis’, whatever the wall clock says', () => {
      let wallMs = 5_000_000;
      const memory = createMemory({
        keepMs: 1_000,
        graceMs: 300,
        signs: { wall: () => wallMs, suspendedMs: () => 0 },
      });
      memory.compare(BASE, 0, 0);
      wallMs -= SLEPT;
      memory.compare(BASE - SLEPT + 10, 10, 10);
      assert.equal(memory.lastJump()?.cause, 'redis');
    });
  });
});
