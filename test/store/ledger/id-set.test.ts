import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createIdSet } from '../../../src/store/ledger/id-set.ts';

const ID_BYTES = 16;

describe('a set of ids', () => {
  it('lets each id through once, in whatever parts they come', () => {
    // Few bytes of few values, so that many are alike, that of zeros among them.
    const id = fc.array(fc.nat({ max: 1 }), { minLength: 3, maxLength: 3 }).map((bits) => {
      const bytes = Buffer.alloc(ID_BYTES);
      for (const [index, bit] of bits.entries()) bytes[7 * index] = bit;
      return bytes;
    });
    fc.assert(
      fc.property(fc.array(fc.array(id, { maxLength: 6 }), { maxLength: 6 }), (parts) => {
        const set = createIdSet();
        const fresh = Buffer.concat(parts.map((part) => set.fresh(Buffer.concat(part))));
        const wanted = [...new Set(parts.flat().map((bytes) => bytes.toString('hex')))];
        assert.equal(fresh.toString('hex'), wanted.join(''));
      }),
    );
  });

  it('knows all of many, counted up or by chance', () => {
    const counted = Buffer.alloc(20_000 * ID_BYTES);
    for (let index = 0; index < 20_000; index++) counted.writeUInt32BE(index, ID_BYTES * index + 12);
    for (const ids of [counted, randomBytes(20_000 * ID_BYTES)]) {
      const set = createIdSet();
      assert.deepEqual(set.fresh(ids), ids);
      assert.equal(set.fresh(ids).length, 0);
    }
  });
});
