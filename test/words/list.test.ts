import assert from 'node:assert/strict';
import { it } from 'node:test';
import { either } from '../../src/base/words/list.ts';

it('choices are listed with "or" before the last one', () => {
  assert.deepEqual([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(either), ['', 'a', 'a or b', 'a, b or c']);
});
