import { isIP, isIPv6 } from 'node:net';

const MINUTE_MS = 60_000;

/** Wrong tokens of one address: this many at once, then this many a minute. */
const OF_AN_ADDRESS = 10;

/**
 * The same of all addresses that guessed lately. One that did not always has its token looked at: otherwise many addresses, each
 * guessing once, would keep the owner of the right token out, and a token of 16 characters is not found by one guess from each.
 */
const IN_ALL = 150;

/** Of this many addresses it is known that they guessed; the one that did so longest ago is forgotten for another. */
const MOST_ADDRESSES = 10_000;

/** Sign-ins of one address with one role: each is a line in the log. */
const SIGN_INS = 30;

/** How long an address counts as one that guesses, in ms. */
const LATELY_MS = 15 * MINUTE_MS;

export type Guesses = ReturnType<typeof createGuesses>;

/**
 * Slows down guesses at tokens, by address and in all, and repeated sign-ins. An address is as `networkOf` gives it.
 *
 * @param options.monotonic ms. Default: this process'.
 */
export function createGuesses({ monotonic = () => performance.now() }: { monotonic?: () => number } = {}) {
  const wrong = new Map<string, { rate: Rate; at: number }>();
  const right = new Map<string, Rate>();
  const all = createRate(IN_ALL);

  return {
    /** How long this address has to wait before a token of it is looked at, in ms; 0: it need not. */
    waitMs: (address: string): number => {
      const now = monotonic();
      const own = wrong.get(address);
      if (!own || now - own.at > LATELY_MS) return 0;
      return Math.max(own.rate.waitMs(now, OF_AN_ADDRESS), all.waitMs(now, IN_ALL));
    },
    /** A token was wrong. */
    noteWrong: (address: string): void => {
      const now = monotonic();
      const { rate } = wrong.get(address) ?? { rate: createRate(OF_AN_ADDRESS) };
      rate.note(now);
      all.note(now);
      // Last in the map: those that guessed longest ago come first.
      wrong.delete(address);
      wrong.set(address, { rate, at: now });
      for (const [other, { at }] of wrong) {
        if (now - at <= LATELY_MS && wrong.size <= MOST_ADDRESSES) break;
        wrong.delete(other);
      }
    },
    /** A token was right: how long until another session may be opened with it from there, in ms; 0: now, which is noted. */
    signIn: (address: string, role: string): number => {
      const now = monotonic();
      for (const [other, rate] of right) if (rate.isIdle(now)) right.delete(other);
      const rate = right.get(`${role} ${address}`) ?? createRate(SIGN_INS);
      const waitMs = rate.waitMs(now, SIGN_INS);
      if (waitMs > 0) return waitMs;
      rate.note(now);
      right.set(`${role} ${address}`, rate);
      return 0;
    },
  };
}

type Rate = ReturnType<typeof createRate>;

/** Counts what happens; of each minute, so many are forgotten, evenly. */
function createRate(ofAMinute: number) {
  const everyMs = MINUTE_MS / ofAMinute;
  /** When all of it will be forgotten. */
  let emptyAt = 0;
  return {
    note: (now: number): void => {
      emptyAt = Math.max(emptyAt, now) + everyMs;
    },
    /** Until fewer than `most` are remembered. */
    waitMs: (now: number, most: number): number => Math.max(0, emptyAt - now - (most - 1) * everyMs),
    isIdle: (now: number): boolean => emptyAt <= now,
  };
}

/** An address as a proxy may name it, without its port and zone; `unknown`: it is no IP address. */
export function plainAddress(text: string): string {
  const [, bracketed, v4] = /^(?:\[([^\]]*)\](?::\d+)?|(\d+(?:\.\d+){3}):\d+)$/.exec(text) ?? [];
  const bare = (bracketed ?? v4 ?? text).replace(/%.*$/, '');
  return isIP(bare) === 0 ? 'unknown' : bare;
}

/** What addresses are told apart by: of IPv6, the network that one line has. */
export function networkOf(text: string): string {
  const bare = plainAddress(text);
  const [, mapped] = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(bare) ?? [];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(bare)) return bare;
  const [head = '', tail] = new URL(`http://[${bare}]`).hostname.slice(1, -1).split('::');
  const groups = head.split(':').filter(Boolean);
  const last = tail?.split(':').filter(Boolean) ?? [];
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups.length - last.length }, () => '0');
  return `${[...groups, ...zeros, ...last].slice(0, 4).join(':')}::/64`;
}
