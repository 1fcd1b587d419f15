import assert from 'node:assert/strict';
import { it } from 'node:test';
import { defineScript } from '../../src/store/script.ts';

it('two scripts cannot have the same name: a connection would run whichever it met first', () => {
  defineScript('test-of-a-name', 'return 1');
  assert.throws(() => defineScript('test-of-a-name', 'return 2'), /two scripts are called test-of-a-name/);
});
