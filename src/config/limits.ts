import { formatDuration, parseDuration } from '../base/duration.ts';

/** At most `max` calls in any rolling `lengthMs`. */
export interface Window {
  max: number;
  lengthMs: number;
}

/** The limits of one tenant's operation, and what is kept from bulk for urgent requests. */
export interface Limits {
  /** All windows hold at once. The first is the one people mean by "the rate". */
  windows: readonly Window[];
  /** Slots kept from bulk, each in the window of the same length. */
  reserves: readonly Window[];
}

/** Urgent requests may use every slot, bulk (single cancels and campaigns) leaves the reserve. */
export type SlotClass = 'urgent' | 'bulk';

/** Microsoft's documented limits for each of cancel, get and list: 100 calls a minute and 1,500 an hour. */
export const DEFAULT_RATE_LIMITS = '100/1m,1500/1h';
export const DEFAULT_URGENT_RESERVE = '10/1m,30/1h';

/**
 * Reads `max/duration[,max/duration…]`.
 *
 * @returns the windows as given, or a sentence that says what is wrong.
 */
export function parseWindows(text: string): readonly Window[] | string {
  const windows: Window[] = [];
  for (const part of text.split(',')) {
    const window = parseWindow(part.trim());
    if (typeof window === 'string') return window;
    if (window.max === 0) return `"${part.trim()}" allows no calls`;
    if (windows.some((other) => other.lengthMs === window.lengthMs)) {
      return `more than one limit for ${formatDuration(window.lengthMs)}`;
    }
    windows.push(window);
  }
  return windows;
}

/**
 * Reads URGENT_RESERVE: `max/duration[,max/duration…]`, `none`, or `0/…` for none of a window.
 *
 * A part that fits no window is a mistake when somebody gave it, and left out when it is only the default.
 */
export function parseReserves(
  text: string | undefined,
  windows: readonly Window[],
): readonly Window[] | string {
  const value = (text ?? DEFAULT_URGENT_RESERVE).trim();
  if (value === 'none') return [];
  const reserves: Window[] = [];
  for (const part of value.split(',')) {
    const reserve = parseWindow(part.trim());
    if (typeof reserve === 'string') return reserve;
    if (reserves.some((other) => other.lengthMs === reserve.lengthMs)) {
      return `more than one reserve for ${formatDuration(reserve.lengthMs)}`;
    }
    const problem = reserveProblem(reserve, windows);
    if (problem !== null && text !== undefined) return problem;
    if (problem === null && reserve.max > 0) reserves.push(reserve);
  }
  return reserves;
}

function reserveProblem(reserve: Window, windows: readonly Window[]): string | null {
  if (reserve.max === 0) return null;
  const window = windows.find((candidate) => candidate.lengthMs === reserve.lengthMs);
  if (!window) return `RATE_LIMITS has no window of ${formatDuration(reserve.lengthMs)}`;
  if (reserve.max < window.max) return null;
  return `${formatWindows([reserve])} must be less than the limit, ${formatWindows([window])}`;
}

/** The windows as they bind one class: bulk sees the reserved ones smaller, whoever used their slots. */
export function windowsFor(limits: Limits, slotClass: SlotClass): readonly Window[] {
  if (slotClass === 'urgent') return limits.windows;
  return limits.windows.map((window) => ({ ...window, max: window.max - reservedIn(limits, window) }));
}

/** How many slots of a window are kept from bulk. */
export function reservedIn({ reserves }: Limits, { lengthMs }: Window): number {
  return reserves.find((reserve) => reserve.lengthMs === lengthMs)?.max ?? 0;
}

/**
 * By so much longer than its length a window is kept, as a share. A slot ages by Redis' clock, and NTP may let that run 500 ppm fast for hours: it
 * would open the hour 1.8 s early, as the server counts.
 */
export const FAST_CLOCK = 0.0005;

/** What a window's length is on a clock that runs as fast as it may, in ms. */
export function lengthen(lengthMs: number): number {
  return lengthMs * (1 + FAST_CLOCK);
}

/** How long a slot can matter: the longest window. */
export function longestMs(windows: readonly Window[]): number {
  return Math.max(...windows.map((window) => window.lengthMs));
}

export function formatWindows(windows: readonly Window[]): string {
  return windows.map((window) => `${window.max}/${formatDuration(window.lengthMs)}`).join(',');
}

function parseWindow(text: string): Window | string {
  const match = /^(\d{1,9})\/(\S+)$/.exec(text);
  const lengthMs = match?.[2] === undefined ? null : parseDuration(match[2]);
  if (!match || lengthMs === null)
    return `"${text}" does not have the form max/duration, such as 100/1m (units: ms, s, m, h, d)`;
  return { max: Number(match[1]), lengthMs };
}
