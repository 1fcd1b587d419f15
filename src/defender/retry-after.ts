import type { HttpAnswer } from './exchange.ts';

/** Keeps a wait finite. How much of it is kept is decided where it is recorded: at most the longest window. */
const MOST_SECONDS = 1_000_000_000;

/**
 * The wait that an answer names, in ms: `Retry-After` in seconds (also fractions, which Microsoft's front ends send) or as a date,
 * otherwise the message's "in 8 seconds". Rounded up to whole seconds, at least one. Null where it names none: a message that only
 * tells the limit ("maximum allowed 1500 per 01:00:00") says nothing of when there is room again.
 *
 * @param nowWall ms since 1970, for a date where the answer does not tell the server's own time.
 */
export function retryAfter(
  { headers }: Pick<HttpAnswer, 'headers'>,
  message: string | undefined,
  nowWall: number,
): number | null {
  const waits = valuesOf(headers['retry-after'])
    .map((value) => secondsOf(value) ?? secondsUntil(value, valuesOf(headers['date'])[0], nowWall))
    .filter((seconds) => seconds !== null);
  // Two headers that disagree: the longer wait is right by both.
  const named = waits.length > 0 ? Math.max(...waits) : secondsIn(message ?? '');
  return named === null ? null : 1_000 * Math.min(MOST_SECONDS, Math.max(1, Math.ceil(named)));
}

function valuesOf(header: string | string[] | undefined): string[] {
  return (Array.isArray(header) ? header : [header ?? '']).map((value) => value.trim());
}

function secondsOf(text: string): number | null {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : null;
}

function secondsUntil(text: string, served: string | undefined, nowWall: number): number | null {
  const at = httpDate(text);
  // By the server's own clock where it tells the time, so that a clock that is off does no harm.
  return at === null ? null : (at - (httpDate(served ?? '') ?? nowWall)) / 1_000;
}

function secondsIn(message: string): number | null {
  const [, seconds] = /\bin (\d{1,10}(?:\.\d{1,10})?) ?(?:s|secs?|seconds?)\b/i.exec(message) ?? [];
  return seconds === undefined ? null : Number(seconds);
}

/** The three forms of RFC 9110, 5.6.7: the one that is sent, and two that are obsolete but have to be understood. */
const IMF = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const RFC_850 =
  /^(Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}:\d{2}:\d{2}) GMT$/;
const ASCTIME = /^([A-Z][a-z]{2}) ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}:\d{2}:\d{2}) (\d{4})$/;

/** An HTTP date in ms since 1970, or null. `Date.parse` takes nearly anything for a date: `45.9` is one in 1945. */
export function httpDate(text: string): number | null {
  const [, day, date, month, year, time] = RFC_850.exec(text) ?? [];
  if (day !== undefined && year !== undefined) {
    const century = Number(year) < 70 ? '20' : '19';
    return exactly(`${day.slice(0, 3)}, ${date} ${month} ${century}${year} ${time} GMT`);
  }
  const [, weekday, name, padded, clock, fullYear] = ASCTIME.exec(text) ?? [];
  if (weekday !== undefined)
    return exactly(`${weekday}, ${padded?.replace(' ', '0')} ${name} ${fullYear} ${clock} GMT`);
  return IMF.test(text) ? exactly(text) : null;
}

/** Null for a day that does not exist, or is another day of the week. */
function exactly(imf: string): number | null {
  const at = Date.parse(imf);
  return !Number.isNaN(at) && new Date(at).toUTCString() === imf ? at : null;
}
