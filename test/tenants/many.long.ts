import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drainMany } from './many.ts';

test('200 tenants with 500 requests each in one process, each within its limits', async (t) => {
  const many = await drainMany(t, 200, 500, '20/2s,300/60s');
  t.diagnostic(JSON.stringify(many));
  assert.equal(many.refused, 0);
  assert.ok(many.fullest <= 1);
  assert.ok(many.connections <= 5);
  assert.ok(many.mostMiB < 500);
});

test('10 tenants with 40 requests each in one process, each within its limits', async (t) => {
  const many = await drainMany(t, 10, 40, '10/1s,25/3s');
  t.diagnostic(JSON.stringify(many));
  assert.equal(many.refused, 0);
  assert.ok(many.fullest <= 1);
  assert.ok(many.connections <= 5);
});
