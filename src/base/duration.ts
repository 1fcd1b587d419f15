const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Reads a duration such as `250ms`, `30s`, `1m`, `1h` or `90d`.
 *
 * @returns milliseconds, or null when the text is no such duration or not above zero.
 */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text.trim());
  if (!match) return null;
  const ms = Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  return ms > 0 && Number.isSafeInteger(ms) ? ms : null;
}

/** The shortest exact spelling, as settings have it: `90d`, `1h`, `1m`, `30s`, `1500ms`. */
export function formatDuration(ms: number): string {
  for (const unit of ['h', 'm', 's'] as const) {
    if (ms >= UNITS[unit] && ms % UNITS[unit] === 0) return `${ms / UNITS[unit]}${unit}`;
  }
  return `${ms}ms`;
}

/** A window's length in a sentence, exactly: `minute`, `hour`, `10 s`, `2 h`. */
export function describeWindow(ms: number): string {
  if (ms === UNITS.m) return 'minute';
  if (ms === UNITS.h) return 'hour';
  if (ms % UNITS.h === 0) return `${ms / UNITS.h} h`;
  if (ms % UNITS.m === 0) return `${ms / UNITS.m} min`;
  return `${ms / UNITS.s} s`;
}

/** How long something takes or is away, rounded for a person: `6 h 12 min`, `4 min`, `12 s`, `under 1 s`. */
export function describeDuration(ms: number): string {
  if (ms < UNITS.s) return 'under 1 s';
  const seconds = Math.ceil(ms / UNITS.s);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(ms / UNITS.m);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(ms / UNITS.h);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}
