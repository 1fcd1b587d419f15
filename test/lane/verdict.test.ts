import assert from 'node:assert/strict';
import { it } from 'node:test';
import { judgeCheck } from '../../src/lane/verdict.ts';
import { TIMINGS } from '../../src/timings.ts';

it('a look with Get that fails is noted with what failed, not with the 400 it is about', () => {
  const detail = { errorCode: 'ECONNRESET' };
  const circumstances = { attempts: 1, random: 0, mayRead: true, freshToken: false, timings: TIMINGS };
  const { verdict } = judgeCheck({ kind: 'fault', lost: true, detail }, circumstances, { httpStatus: 400 });
  assert.deepEqual([verdict.kind, verdict.detail], ['wait', detail]);
});
