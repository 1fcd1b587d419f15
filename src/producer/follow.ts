import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import type { CancelResult } from '../base/outcome.ts';
import { quoted } from '../base/words/name.ts';
import { findCampaign, originOf } from '../store/campaign/registry.ts';
import type { Keys } from '../store/keys.ts';
import { entryValues, readEntry } from '../store/ledger/result.ts';
import { checkVersion } from '../store/ledger/version.ts';
import type { RedisClient } from '../store/script.ts';
import { BLOCK_MS, closeReader, isPassing, type Link, reasonOf } from './connection.ts';
import { checkWait, waitFor } from './waiting.ts';

export interface FollowOptions {
  /** The position of the last outcome that was seen; begins after it. Default 0: from the first one on. */
  from?: number | undefined;
  /** Ends it, with its reason. */
  signal?: AbortSignal | undefined;
  /** Whether it goes on when nothing is open, for what `retry`, `verify` or another submit brings. Default false. */
  stay?: boolean | undefined;
}

/** An outcome of a campaign as it was recorded. */
export interface Followed {
  /** 1, 2, 3 … within the campaign: to go on from here later, give it as `from`. */
  position: number;
  /** 1, and one more each time the id was opened again: of several results the one with the highest stands. */
  generation: number;
  /** The outcome was known before; its action's state was read again (`verifiedAt`). */
  isVerification: boolean;
  result: CancelResult;
}

export interface FollowDeps {
  link: Link;
  keys: Keys;
  /** Of the producer. */
  closed: AbortSignal;
}

const PART = 250;
const RETRY_MS = 1_000;

/**
 * A campaign's outcomes, first those that are there and then each as it is decided; ends when nothing of the campaign is
 * open. It keeps its place while Redis is away.
 *
 * @throws StanddownError CAMPAIGN_UNKNOWN, also when it is deleted meanwhile and its name used again; USAGE, REDIS_FAILED, DATA_NEWER, CLOSED; the
 *   signal's reason.
 */
export async function* followCampaign(
  { link, keys, closed }: FollowDeps,
  name: string,
  options: FollowOptions,
): AsyncGenerator<Followed, void, undefined> {
  checkWait({ signal: options.signal });
  let position = checkPosition(options.from);
  let number: number | null = null;
  const stop = AbortSignal.any([closed, ...(options.signal ? [options.signal] : [])]);
  const reader = await openReader(link, stop);
  const ask = <T>(work: () => Promise<T>) => untilAnswered(reader, stop, work);
  const onStop = () => closeReader(reader);
  stop.addEventListener('abort', onStop, { once: true });
  try {
    await ask(() => checkVersion(reader, keys));
    for (;;) {
      // Looked at before the results are read: what was decided until then is among them.
      const campaign = await ask(() => findCampaign(reader, keys, name));
      number ??= campaign.number;
      if (campaign.number !== number) throw deleted(name);
      // Redis lost what it had not saved yet: what is decided again has these positions.
      position = Math.min(position, campaign.results);
      const isLast = campaign.open === 0 && options.stay !== true;
      const results = keys.results(number);
      const entries = await ask(() => readAfter(reader, results, position, isLast ? null : BLOCK_MS));
      // Somebody may have taken the last ones away: what counts is whether there are more.
      if (isLast && entries.length === 0) return;
      const origin = originOf(campaign);
      for (const [id, flat] of entries) {
        const { generation, result } = readEntry(entryValues(flat), origin);
        position = Number(id.split('-')[0]);
        yield { position, generation, isVerification: result.verifiedAt !== undefined, result };
        stop.throwIfAborted();
      }
    }
  } catch (error) {
    throw reasonOf(error, stop);
  } finally {
    stop.removeEventListener('abort', onStop);
    closeReader(reader);
  }
}

async function openReader(link: Link, stop: AbortSignal): Promise<RedisClient> {
  stop.throwIfAborted();
  const reader = await link.openReader('producer-follow');
  if (stop.aborted) closeReader(reader);
  return reader;
}

/** Asks again while Redis is away. What waits for one that is away would keep the end waiting. */
async function untilAnswered<T>(reader: RedisClient, stop: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await waitFor(work(), { signal: stop }, 'answer from Redis', {});
    } catch (error) {
      if (stop.aborted || reader.status === 'end' || !isPassing(error)) throw error;
      await systemClock.sleep(RETRY_MS, stop);
    }
  }
}

/** Waits for something, but not for longer than it may take to notice that the campaign is gone. @param blockMs null: does not. */
async function readAfter(reader: RedisClient, key: string, position: number, blockMs: number | null) {
  const after = `${position}-0`;
  const found =
    blockMs === null
      ? await reader.xread('COUNT', PART, 'STREAMS', key, after)
      : await reader.xread('COUNT', PART, 'BLOCK', blockMs, 'STREAMS', key, after);
  return found?.[0]?.[1] ?? [];
}

function deleted(name: string): StanddownError {
  const words = `campaign ${quoted(name)} was deleted, and a new campaign has the same name`;
  return new StanddownError('CAMPAIGN_UNKNOWN', words);
}

function checkPosition(from = 0): number {
  if (Number.isSafeInteger(from) && from >= 0) return from;
  throw new StanddownError('USAGE', 'from must be 0 or the position of an outcome');
}
