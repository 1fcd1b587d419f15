import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createTurns } from '../../src/base/turns.ts';

it('so many run at the same time, the others in their order, also when one fails', async () => {
  const turn = createTurns(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const runs = ends.map(({ promise }, index) =>
    turn(() => {
      begun.push(index);
      return promise;
    }),
  );
  await Promise.resolve();
  assert.deepEqual(begun, [0, 1]);
  ends[1]?.reject(new Error('fails'));
  await assert.rejects(runs[1] ?? Promise.resolve());
  assert.deepEqual(begun, [0, 1, 2]);
  for (const [index, end] of ends.entries()) end.resolve(index);
  assert.deepEqual(await Promise.all(runs.filter((_, index) => index !== 1)), [0, 2, 3, 4]);
  assert.equal(await turn(async () => 'free again'), 'free again');
});
