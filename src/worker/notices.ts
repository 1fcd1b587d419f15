import { excerpt, foreign } from '../base/foreign.ts';
import { type Logger, silentLog } from '../base/log.ts';
import type { Detail } from '../base/outcome.ts';
import type { Keys, Operation } from '../store/keys.ts';
import type { RedisClient } from '../store/script.ts';
import type { Judgement } from './verdict.ts';

/** Why nothing goes out. `window` and `grace` follow from the budget and have no notice of their own. */
export type HoldReason = 'window' | 'grace' | 'penalty' | 'upstream' | 'unauthorized' | 'sign-in';

/** What a hold is about, for people. The hold itself stands in the tenant's state. */
export interface Notice {
  /** A code for programs: an HTTP status or an error code. */
  code: string;
  message: string;
  /** Ms since 1970. */
  at: number;
  /** Until when, where the state does not say: ms since 1970. */
  until?: number;
}

export interface Notices {
  /** Notes what a call's answer says about a hold. */
  observe(operation: Operation, judgement: Judgement, detail: Detail): void;
  note(reason: HoldReason, notice: Omit<Notice, 'at'>): void;
  clear(reason: HoldReason): void;
}

/** Writes notices in passing: nothing waits for them, and a lost one is only a missing explanation. */
export function createNotices(deps: {
  redis: RedisClient;
  keys: Keys;
  wall(): number;
  log?: Logger;
}): Notices {
  const { redis, keys, log = silentLog } = deps;
  const settle = (writing: Promise<unknown>) =>
    writing.catch((err) => log.debug({ err }, 'reason of a hold not written'));

  const note = (reason: HoldReason, notice: Omit<Notice, 'at'>) => {
    const [code, message] = [excerpt(notice.code, 100), foreign(notice.message, 300)];
    const text = JSON.stringify({ ...notice, code, message, at: deps.wall() });
    void settle(redis.hset(keys.holds, reason, text));
  };

  return {
    note,
    clear: (reason) => void settle(redis.hdel(keys.holds, reason)),
    observe: (operation, judgement, detail) => {
      if (operation !== 'cancel') return;
      const code = detail.httpStatus === undefined ? (detail.errorCode ?? '') : String(detail.httpStatus);
      const message = detail.errorMessage ?? detail.errorCode ?? '';
      if (judgement.penaltyMs > 0) {
        log.warn(
          { waitMs: judgement.penaltyMs },
          'refused (429) although RATE_LIMITS allows it: waiting, then sending fewer calls',
        );
        note('penalty', { code, message });
      } else if (judgement.sign === 'fault') note('upstream', { code, message });
      else if (judgement.sign === 'unauthorized') note('unauthorized', { code, message });
    },
  };
}
