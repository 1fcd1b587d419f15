import { parseDuration } from '../../base/duration.ts';

const ISO = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}(?::\d{2}(?:\.\d{1,7})?)?)(Z|[+-]\d{2}:\d{2})?)?$/i;

const EXAMPLES = '2026-11-23T08:00Z or 2026-11-23T09:00+01:00';

/**
 * Reads a time: ISO 8601, to the minute at least and with `Z` or an offset; or so long ago (`-1h`, `-30m`, `-7d`).
 *
 * @returns ms since 1970, or what is wrong with it. Without an offset nobody can say which time is meant.
 */
export function parseTime(text: string, nowMs: number): number | string {
  if (text.startsWith('-')) {
    const ms = parseDuration(text.slice(1));
    if (ms === null) return 'not a relative time; write for example -90s, -30m, -1h or -7d';
    return nowMs > ms ? nowMs - ms : 'this time is before 1970';
  }
  const [, date, clock, offset] = ISO.exec(text) ?? [];
  if (date === undefined) return `not a time; write for example ${EXAMPLES}, or -1h`;
  if (clock === undefined) return `the time of day is missing; write for example ${EXAMPLES}`;
  if (offset === undefined) return `the time zone is missing; write for example ${EXAMPLES}`;
  const ms = Date.parse(`${date}T${clock}${offset.toUpperCase()}`);
  return !(ms >= 0) || !isDay(date) ? 'this time does not exist' : ms;
}

/** Date.parse takes the 31st of February for the 3rd of March. */
function isDay(date: string): boolean {
  const ms = Date.parse(`${date}T00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date);
}
