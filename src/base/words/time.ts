import { describeDuration } from '../duration.ts';

type Time = number | string;

/**
 * A time of day with its zone, such as `10:01:45 UTC+2`; with the date in front of it where that is another day.
 *
 * @param time ms since 1970, or ISO 8601. @param now ms since 1970.
 */
export function formatTime(time: Time, now: number): string {
  const date = new Date(time);
  const clock = `${date.toTimeString().slice(0, 8)} ${zoneOf(date)}`;
  const isToday = date.toDateString() === new Date(now).toDateString();
  return isToday
    ? clock
    : `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())} ${clock}`;
}

/** The same in UTC and always with the date, for files that are read elsewhere: `2026-11-30 10:01:45 UTC`. */
export function formatUtc(time: Time): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** For what is still to come: `at 10:01:45 UTC (in 53 s)`. A time that has passed is not shown. */
export function formatUpcoming(time: Time, now: number): string {
  const parts = partsOfUpcoming(time, now);
  return parts === null ? ANY_MOMENT : `at ${parts.clock} ${parts.left}`;
}

/** What stands in place of a time that has passed without what it announced. */
export const ANY_MOMENT = 'any moment now';

/** The same in two parts, where what is left counts down by itself: `10:01:45 UTC` and `(in 53 s)`; null: the time has passed. */
export function partsOfUpcoming(time: Time, now: number): { clock: string; left: string } | null {
  const leftMs = new Date(time).getTime() - now;
  return leftMs > 0 ? { clock: formatTime(time, now), left: `(in ${describeDuration(leftMs)})` } : null;
}

/** For what has happened: `09:58:02 UTC (4 min ago)`. */
export function formatPast(time: Time, now: number): string {
  return `${formatTime(time, now)} ${describeAge(time, now)}`;
}

/** For what has happened, or is still to come: `09:58:02 UTC (4 min ago)`, `10:01:45 UTC (in 53 s)`. */
export function formatAnyTime(time: Time, now: number): string {
  const parts = partsOfUpcoming(time, now);
  return parts ? `${parts.clock} ${parts.left}` : formatPast(time, now);
}

/** `(4 min ago)` */
export function describeAge(time: Time, now: number): string {
  return `(${describeDuration(Math.max(0, now - new Date(time).getTime()))} ago)`;
}

function zoneOf(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0) return 'UTC';
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? '-' : '+'}${hours}${rest === 0 ? '' : `:${twoDigits(rest)}`}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
