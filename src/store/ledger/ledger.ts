import { StanddownError } from '../../base/errors.ts';
import type { Detail, Outcome } from '../../base/outcome.ts';
import { campaignIn } from '../../base/words/name.ts';
import type { EpochContext } from '../budget/epoch.ts';
import type { Keys } from '../keys.ts';
import type { Batch } from './batch.ts';
import { type CallSettings, createCalls, type DirectCampaign } from './calls.ts';
import { endBatch } from './end.ts';
import { forgetBatch } from './forget.ts';
import { grow, ledgerSize } from './grow.ts';
import { awaitOutcomes, type Look, look } from './look.ts';
import { RECORDS_PER_BUCKET } from './record.ts';
import { renew, retryBatch, type Wish } from './reopen.ts';
import { settle } from './settle.ts';
import { type OfOther, type Submitted, submitBatch } from './submit.ts';
import { type VerifyInput, verify } from './verify.ts';
import { createView } from './view.ts';

export interface SubmitCount {
  /** Opened here, those that were taken over included. */
  accepted: number;
  /** This campaign's before. */
  already: number;
  /** Owned by another campaign, and followed there. */
  tracked: OfOther[];
  /** As they had ended in another campaign, which keeps that. */
  takenOver: OfOther[];
}

/** How many buckets one submit of a batch splits at most: enough to keep up with it. */
const SPLITS_PER_BATCH = 64;

/** Room is made for so many ids at most before they come: it is no more than a hint, and for more it is made as they come. */
const MOST_EXPECTED = 1_000_000;

export type Ledger = ReturnType<typeof createLedger>;

/**
 * The ledger of one tenant: what may be called, and what became of each action. Ids are given as 16 bytes each, in a
 * row. Hides that its buckets split, that a record may belong to another campaign than believed, and that Redis may have
 * lost slots.
 *
 * All throw StanddownError REDIS_FAILED when Redis does.
 */
export function createLedger(deps: EpochContext & { settings: CallSettings }) {
  const { redis, keys } = deps;
  const view = createView(keys);

  return {
    ...createCalls({ ...deps, view }),

    /**
     * Puts ids into a campaign; splits buckets where the ledger has outgrown them.
     *
     * @param name the campaign's, where its number was read a while ago; default: it is not looked at.
     * @throws StanddownError CAMPAIGN_CLOSED
     */
    async submit(campaign: number, ids: Buffer, name = ''): Promise<SubmitCount> {
      const count = newCount();
      let owners: number[] = [];
      const run = (batch: Batch) =>
        submitBatch(redis, keys, { campaign, name, buckets: view.buckets, batch, owners, isDry: false });
      const learn = (again: Submitted) => {
        if (again.kind === 'again' && again.owners) owners = [...new Set([...owners, ...again.owners])];
      };
      for await (const done of view.overBatches(ids, run, learn)) {
        if (done.kind === 'closed') throw closed(done.state, keys, name);
        add(count, done);
        if (done.records > view.buckets * RECORDS_PER_BUCKET) {
          view.buckets = await grow(redis, keys, view.buckets, done.records, SPLITS_PER_BATCH);
        }
      }
      return count;
    },

    /**
     * What a submit of these ids would do, by the script that does it; nothing is written.
     *
     * @param campaign null: one that does not exist yet.
     * @throws StanddownError CAMPAIGN_CLOSED
     */
    async plan(campaign: number | null, ids: Buffer, name = ''): Promise<SubmitCount> {
      const count = newCount();
      const asked = { campaign: campaign ?? 0, name, owners: [], isDry: true };
      const run = (batch: Batch) => submitBatch(redis, keys, { ...asked, buckets: view.buckets, batch });
      for await (const done of view.overBatches(ids, run)) {
        if (done.kind === 'closed') throw closed(done.state, keys, name);
        add(count, done);
      }
      return count;
    },

    /** Makes room for so many ids before they come, at most MOST_EXPECTED: what is not there yet need not be moved. */
    async expect(count: number): Promise<void> {
      const { buckets, records } = await ledgerSize(redis, keys);
      const wanted = records + Math.min(count, MOST_EXPECTED);
      view.buckets = await grow(redis, keys, buckets, wanted, MOST_EXPECTED);
    },

    /**
     * What the ledger says of ids, in their order; null: unknown.
     *
     * @param campaign as it sees them: what ended in it stays so, whatever another one that has opened it again made of it.
     */
    async look(ids: Buffer, campaign: number | null = null): Promise<(Look | null)[]> {
      const records: (Look | null)[] = [];
      const run = (batch: Batch) => look(redis, keys, view.buckets, batch, campaign);
      for await (const done of view.overBatches(ids, run)) records.push(...done.records);
      return records;
    },

    /** Where an id's record is, as a script is told that looks at it by itself; by what is known of the ledger's shape. */
    placeOf: (id: Buffer) => ({ bucketKey: view.bucketKey(id), buckets: view.buckets }),

    /** What it says of ids, as `look`; from now on the outcomes of those that have none are told by their keys. */
    async awaitOutcomes(ids: Buffer): Promise<(Look | null)[]> {
      const records: (Look | null)[] = [];
      const run = (batch: Batch) => awaitOutcomes(redis, keys, view.buckets, batch);
      for await (const done of view.overBatches(ids, run)) records.push(...done.records);
      return records;
    },

    /** Ends open ids of an aborted or expired campaign; `left`: live claims. */
    async end(campaign: number, ids: Buffer, outcome: 'withdrawn' | 'expired', onlyDue = false) {
      const total = { ended: 0, left: 0 };
      const run = (batch: Batch) =>
        endBatch(redis, keys, {
          campaign,
          buckets: view.buckets,
          batch,
          outcome,
          checkMs: deps.timings.checkMs,
          onlyDue,
          time: deps.memory.expect('cancel', deps.monotonic()).time,
        });
      for await (const done of view.overBatches(ids, run)) {
        total.ended += done.ended;
        total.left += done.left;
      }
      return total;
    },

    /** Settles an action that has ended already, if it was never called. */
    settle(campaign: number, id: Buffer, detail: Detail) {
      return view.settled(() =>
        settle(redis, keys, { id, bucketKey: view.bucketKey(id), campaign, buckets: view.buckets, detail }),
      );
    },

    /** Notes what a decided action's state became; `left`: its result is another one by now. */
    verify(input: Omit<VerifyInput, 'buckets' | 'bucketKey'>) {
      return view.settled(() =>
        verify(redis, keys, { ...input, bucketKey: view.bucketKey(input.id), buckets: view.buckets }),
      );
    },

    /**
     * Opens this campaign's own ids again that ended in one of these ways.
     *
     * @param name as in `submit`.
     * @throws StanddownError CAMPAIGN_CLOSED
     */
    async retry(campaign: number, ids: Buffer, outcomes: readonly Outcome[], name = ''): Promise<number> {
      let reopened = 0;
      const run = (batch: Batch) =>
        retryBatch(redis, keys, { campaign, name, buckets: view.buckets, batch, outcomes });
      for await (const done of view.overBatches(ids, run)) {
        if (done.kind === 'closed') throw closed(done.state, keys, name);
        reopened += done.reopened;
      }
      return reopened;
    },

    /** Carries out a job's `again`, once per job. `refused`: the campaign of single cancels takes no more ids. */
    async renew(id: Buffer, direct: DirectCampaign, jobKey: string, wish: Wish): Promise<'done' | 'refused'> {
      let number = await direct.number();
      let owner = number;
      let isGone = false;
      const attempt = async () => {
        if (isGone) number = await direct.reopen(number);
        isGone = false;
        return renew(redis, keys, {
          id,
          bucketKey: view.bucketKey(id),
          jobKey,
          direct: number,
          directName: direct.name,
          owner,
          buckets: view.buckets,
          wish,
        });
      };
      const { kind } = await view.settled(attempt, (again) => {
        if (again.kind !== 'again') return;
        owner = again.campaign ?? owner;
        isGone = again.direct === true;
      });
      return kind;
    },

    /** Removes a closed campaign's records. */
    async forget(campaign: number, ids: Buffer): Promise<number> {
      let removed = 0;
      const run = (batch: Batch) => forgetBatch(redis, keys, { campaign, buckets: view.buckets, batch });
      for await (const done of view.overBatches(ids, run)) removed += done.removed;
      return removed;
    },

    /** Splits buckets that single cancels have filled. */
    async tidy(): Promise<void> {
      const size = await ledgerSize(redis, keys);
      view.buckets = await grow(redis, keys, size.buckets, size.records, 1_000);
    },
  };
}

function newCount(): SubmitCount {
  return { accepted: 0, already: 0, tracked: [], takenOver: [] };
}

function add(count: SubmitCount, done: SubmitCount): void {
  count.accepted += done.accepted;
  count.already += done.already;
  count.tracked.push(...done.tracked);
  count.takenOver.push(...done.takenOver);
}

/** @param name empty: its caller looks at the state only. */
function closed(state: string, { tenant }: Keys, name: string): StanddownError {
  const which = name === '' ? 'the campaign' : campaignIn(name, tenant);
  const words = `${which} is ${state} and accepts no more actions`;
  return new StanddownError('CAMPAIGN_CLOSED', words, { context: { state } });
}
