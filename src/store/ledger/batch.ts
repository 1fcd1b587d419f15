import type { Keys } from '../keys.ts';
import { bucketOf } from './record.ts';

/** Bytes of one id. */
export const ID_BYTES = 16;

/** How many ids a script handles at once: a few milliseconds of Redis' time. */
export const BATCH_IDS = 1_000;

/** Ids as a script takes them: their bytes in a row, the buckets' keys, and which of those keys each id belongs to. */
export interface Batch {
  ids: Buffer;
  count: number;
  bucketKeys: string[];
  /** Two bytes per id, big-endian: index into `bucketKeys`, from 0. */
  places: Buffer;
}

export function makeBatch(keys: Keys, ids: Buffer, buckets: number): Batch {
  const count = ids.length / ID_BYTES;
  const places = Buffer.alloc(2 * count);
  const placeOf = new Map<number, number>();
  const bucketKeys: string[] = [];
  for (let i = 0; i < count; i++) {
    const bucket = bucketOf(ids, buckets, i * ID_BYTES);
    let place = placeOf.get(bucket);
    if (place === undefined) {
      place = bucketKeys.push(keys.bucket(bucket)) - 1;
      placeOf.set(bucket, place);
    }
    places.writeUInt16BE(place, 2 * i);
  }
  return { ids, count, bucketKeys, places };
}

/**
 * For scripts over a batch: `each(ids, places, first, fn)` calls fn(id, bucketKey), with `first` the place of the first
 * bucket's key in KEYS.
 */
export const BATCH_LUA = /* lua */ `
local function each(ids, places, first, fn)
  for i = 0, #ids / ${ID_BYTES} - 1 do
    local id = string.sub(ids, i * ${ID_BYTES} + 1, (i + 1) * ${ID_BYTES})
    local high, low = string.byte(places, 2 * i + 1, 2 * i + 2)
    fn(id, KEYS[first + high * 256 + low])
  end
end
`;
