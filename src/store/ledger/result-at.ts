import type { RedisClient } from '../script.ts';
import { entryValues } from './result.ts';

/**
 * The one entry of a campaign's results that has this position.
 *
 * @returns its values in the order of RESULT_FIELDS; null where it was taken away, never another one's.
 */
export async function readResultAt(
  redis: RedisClient,
  resultsKey: string,
  position: number,
): Promise<unknown[] | null> {
  const place = `${position}-0`;
  const [entry] = await redis.xrange(resultsKey, place, place);
  return entry ? entryValues(entry[1]) : null;
}
