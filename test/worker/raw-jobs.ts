import type { LaneName } from '../../src/store/keys.ts';
import type { Stack } from '../support/stack.ts';

/** Where jobs are written. */
type Place = Pick<Stack, 'redis'> & { tenant: Pick<Stack['tenant'], 'keys'> };

/** Writes a job's key by hand, as a program in another language would. */
export type WriteKey = (key: string, place: Place) => Promise<unknown>;

/** The key becomes a hash of these fields and no others. */
export function hashOf(fields: Record<string, string>): WriteKey {
  return async (key, { redis }) => {
    await redis.del(key);
    if (Object.keys(fields).length > 0) await redis.hset(key, fields);
  };
}

/** Puts a job into a lane without BullMQ: its key, the list, the marker that wakes a worker. */
export async function pushRaw(place: Place, lane: LaneName, jobId: string, write: WriteKey): Promise<void> {
  const { keys } = place.tenant;
  await write(keys.lane(lane, jobId), place);
  await wait(place, lane, jobId);
}

async function wait({ redis, tenant: { keys } }: Place, lane: LaneName, jobId: string): Promise<void> {
  await redis.lpush(keys.lane(lane, 'wait'), jobId);
  await redis.zadd(keys.lane(lane, 'marker'), 0, '0');
}
