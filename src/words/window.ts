import type { Window } from '../budget/windows.ts';
import { describeWindow } from '../duration.ts';
import { count, plural } from './number.ts';

/**
 * What is said of a full window. @param seen.used calls in it; `limit`: of the API; `isSlowed`: whether `max` is lower after refusals.
 */
export function describeFullWindow(
  { max, lengthMs }: Window,
  { used, limit, isSlowed }: { used: number; limit: number; isSlowed: boolean },
): string {
  const last = `in the last ${describeWindow(lengthMs)}`;
  if (isSlowed) return `${plural(used, 'call')} ${last}, slowed down to ${count(max)} after refusals (429)`;
  const left = limit - used;
  const reserved = max < limit && left > 0 ? ` (the other ${count(left)} reserved for urgent requests)` : '';
  return `${count(used)} of ${plural(limit, 'call')} ${last}${reserved}`;
}
