import { describeWindow } from '../duration.ts';
import { count, plural } from './number.ts';

/**
 * What is said of a full window. @param seen.used calls in it; `limit`: of the API; `allowed`: of that, after refusals.
 */
export function describeFullWindow(
  { max, lengthMs }: { max: number; lengthMs: number },
  { used, limit, allowed }: { used: number; limit: number; allowed: number },
): string {
  const last = `in the last ${describeWindow(lengthMs)}`;
  if (allowed < limit) {
    const slowed = describeSlowed({ limit, allowed, reserved: allowed - max }, lengthMs);
    return `${plural(used, 'call')} ${last}; slowed down to ${slowed} after refusals (429)`;
  }
  const left = limit - used;
  const reserved = max < limit && left > 0 ? ` (the other ${count(left)} reserved for urgent requests)` : '';
  return `${count(used)} of ${plural(limit, 'call')} ${last}${reserved}`;
}

/** `74 of 100 calls per minute (8 of the 74 reserved for urgent requests)` */
export function describeSlowed(
  { limit, allowed, reserved }: { limit: number; allowed: number; reserved: number },
  lengthMs: number,
): string {
  const kept =
    reserved > 0 ? ` (${count(reserved)} of the ${count(allowed)} reserved for urgent requests)` : '';
  return `${count(allowed)} of ${plural(limit, 'call')} per ${describeWindow(lengthMs)}${kept}`;
}
