import type { Keys } from '../keys.ts';
import { ID_BYTES } from '../ledger/batch.ts';
import type { RedisClient } from '../script.ts';

/** A part of a campaign's list: ids of 16 bytes each, in a row. */
export async function readIds(
  redis: RedisClient,
  keys: Keys,
  campaign: number,
  from: number,
  count: number,
): Promise<Buffer> {
  const ids = await redis.lrangeBuffer(keys.ids(campaign), from, from + count - 1);
  return Buffer.concat(ids);
}

/** The whole list, a part at a time. */
export async function* eachPart(
  redis: RedisClient,
  keys: Keys,
  campaign: number,
  count: number,
): AsyncGenerator<Buffer> {
  for (let from = 0; ; from += count) {
    const part = await readIds(redis, keys, campaign, from, count);
    if (part.length === 0) return;
    yield part;
  }
}

export function* eachId(ids: Buffer): Generator<Buffer> {
  for (let at = 0; at < ids.length; at += ID_BYTES) yield ids.subarray(at, at + ID_BYTES);
}
