import { StanddownError } from '../../base/errors.ts';
import { type Keys, MAX_COMMENT_LENGTH } from '../keys.ts';
import { ID_BYTES } from '../ledger/batch.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { noteVersion } from '../ledger/version.ts';
import { redisTime } from '../redis/time.ts';
import type { RedisClient } from '../script.ts';
import { type Actor, appendAudit } from './audit.ts';
import { createOthersCounter, type OtherCount } from './others.ts';
import {
  assertAccepts,
  campaignNameProblem,
  DEFAULT_PRIORITY,
  type NewCampaign,
  openCampaign,
  readCampaign,
} from './registry.ts';
import { sweepNow } from './sweep.ts';

export interface SubmitDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
}

export interface SubmitSummary {
  campaign: string;
  /** Opened by this submit, those that were taken over included. */
  accepted: number;
  /** This campaign's before; or named twice, where that was not looked for. */
  already: number;
  /** Owned by other campaigns, as they are there: this campaign follows them. */
  tracked: OtherCount[];
  /** As they had ended in other campaigns, which keep that: they were opened again here. */
  takenOver: OtherCount[];
  /** Whether the campaign is new. One that exists keeps its comment, priority and expiry: they follow. */
  created: boolean;
  comment: string;
  /** 0 (urgent), 1 (first) to 9 (last). */
  priority: number;
  /** Ms since 1970; null: never. */
  expiresAt: number | null;
}

/** When what is submitted now expires, by the clock that will expire it. Ms since 1970; null: never. */
export async function expiryOf(redis: RedisClient, expiresInMs: number | null): Promise<number | null> {
  return expiresInMs === null ? null : Math.ceil((await redisTime(redis)) + expiresInMs);
}

/**
 * Puts ids into a campaign, which is created unless it exists. Repeating it, also after it was cut off half-way,
 * changes nothing.
 *
 * @param ids 16 bytes each, in parts of any number of them.
 * @param options.expected about how many they are, where that is known: saves time. Any number does no harm.
 * @param options.actor who submits, for the campaign's history.
 * @param options.signal keeps it from opening the campaign; from then on `ids` say when it ends.
 * @throws StanddownError USAGE for a bad name or an empty comment, CAMPAIGN_CLOSED, DATA_NEWER
 */
export async function submitCampaign(
  deps: SubmitDeps,
  wanted: NewCampaign,
  ids: AsyncIterable<Buffer>,
  options: { expected?: number; actor?: Actor; signal?: AbortSignal } = {},
): Promise<SubmitSummary> {
  const { redis, keys, ledger } = deps;
  checkWanted(wanted);
  await noteVersion(redis, keys);
  await sweepNow(deps, options.signal);
  options.signal?.throwIfAborted();
  const { number, created } = await openCampaign(redis, keys, wanted);
  const opened = created ? null : await readCampaign(redis, keys, number);
  if (opened) assertAccepts(opened, keys, await redisTime(redis));
  const { expected = 0, actor } = options;
  const detail = expected > 0 ? `${expected} ${expected === 1 ? 'action' : 'actions'}` : '';
  if (actor) await appendAudit(deps, number, { ...actor, action: 'submit', detail });
  await ledger.expect(expected);
  const total = { accepted: 0, already: 0 };
  const tracked = createOthersCounter(deps);
  const takenOver = createOthersCounter(deps);
  for await (const part of ids) {
    if (part.length % ID_BYTES !== 0) throw new TypeError('ids are 16 bytes each');
    const done = await ledger.submit(number, part, wanted.name);
    total.accepted += done.accepted;
    total.already += done.already;
    done.tracked.forEach(tracked.add);
    done.takenOver.forEach(takenOver.add);
  }
  const {
    comment,
    priority = DEFAULT_PRIORITY,
    expiresAt = null,
  } = (await readCampaign(redis, keys, number)) ?? wanted;
  return {
    campaign: wanted.name,
    ...total,
    tracked: await tracked.result(),
    takenOver: await takenOver.result(),
    created,
    comment,
    priority,
    expiresAt,
  };
}

/** @throws StanddownError USAGE for a bad name or a bad comment. */
export function checkWanted({ name, comment }: Pick<NewCampaign, 'name' | 'comment'>): void {
  const problem = campaignNameProblem(name);
  if (problem) throw new StanddownError('USAGE', `the campaign's name ${problem}`);
  if (comment.trim() === '') throw new StanddownError('USAGE', 'the comment must not be empty');
  if (comment.length > MAX_COMMENT_LENGTH) {
    throw new StanddownError('USAGE', `the comment must be at most ${MAX_COMMENT_LENGTH} characters long`);
  }
}
