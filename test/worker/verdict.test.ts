import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TIMINGS } from '../../src/config/timings.ts';
import { judgeCancel, judgeCheck } from '../../src/worker/verdict.ts';

it('a look with Get that fails is noted with what failed, not with the 400 it is about', () => {
  const detail = { errorCode: 'ECONNRESET' };
  const circumstances = {
    attempts: 1,
    random: 0,
    mayRead: true,
    freshToken: false,
    listed: false,
    timings: TIMINGS,
  };
  const { verdict } = judgeCheck({ kind: 'fault', lost: true, detail }, circumstances, { httpStatus: 400 });
  assert.deepEqual([verdict.kind, verdict.detail], ['wait', detail]);
});

describe('an answer that is no verdict', () => {
  const detail = { httpStatus: 404, errorCode: 'NO_REASON' };
  const circumstances = {
    attempts: 0,
    random: 0,
    mayRead: true,
    freshToken: false,
    listed: false,
    timings: TIMINGS,
  };
  const bare = { kind: 'inconclusive', lastly: 'not_found', sign: 'none', detail } as const;

  it('may cost an attempt, is certain, and says how the last one ends', () => {
    const { verdict, sign, slotFate, penaltyMs } = judgeCancel(bare, circumstances);
    assert(verdict.kind === 'retry');
    assert.deepEqual(
      [verdict.lastly, verdict.costsAttempt, verdict.uncertain, verdict.delayMs > 0],
      ['not_found', true, false, true],
    );
    assert.deepEqual([sign, slotFate, penaltyMs], ['fault', 'answered', 0], 'nobody knows who gave it');
  });

  it('is a sign of the API only where the API gave a reason', () => {
    const conflict = { ...bare, lastly: 'rejected', sign: 'alive' } as const;
    assert.equal(judgeCancel(conflict, circumstances).sign, 'alive');
    assert.equal(judgeCancel({ ...bare, sign: 'fault' }, circumstances).sign, 'fault');
  });

  it('of a 400 ends in a look with Get, where that is permitted', () => {
    for (const [mayRead, lastly] of [
      [true, 'check'],
      [false, 'rejected'],
    ] as const) {
      const { verdict } = judgeCancel({ ...bare, lastly: 'check' }, { ...circumstances, mayRead });
      assert.equal(verdict.kind === 'retry' && verdict.lastly, lastly);
    }
  });

  it('to a look with Get is looked for again, until the 400 stands', () => {
    const again = { kind: 'wait', delayMs: TIMINGS.checkAgainMs };
    const { verdict, sign } = judgeCheck(bare, circumstances, { httpStatus: 400 });
    assert.deepEqual([verdict, sign], [{ ...again, lastly: 'rejected', detail }, 'fault']);
    const locked = { ...bare, sign: 'alive' } as const;
    assert.equal(judgeCheck(locked, circumstances, { httpStatus: 400 }).sign, 'alive');
    const lost = judgeCheck({ kind: 'fault', lost: true, detail }, circumstances, { httpStatus: 400 });
    assert.deepEqual(lost.verdict, { ...again, detail }, 'no answer is none that leaves it unexplained');
  });

  it('is the first 404 for what a list has just shown', () => {
    const unknown = { kind: 'not_found', detail } as const;
    for (const [listed, attempts, kind] of [
      [true, 0, 'retry'],
      [true, 1, 'decided'],
      [false, 0, 'decided'],
    ] as const) {
      const { verdict, sign } = judgeCancel(unknown, { ...circumstances, listed, attempts });
      assert.deepEqual([verdict.kind, sign], [kind, 'alive']);
      assert.equal(verdict.kind === 'retry' ? verdict.lastly : 'not_found', 'not_found');
    }
  });
});
