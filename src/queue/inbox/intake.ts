import { StanddownError } from '../../base/errors.ts';
import { guidsToBytes } from '../../base/guid.ts';
import type { Logger } from '../../base/log.ts';
import { quoted } from '../../base/words/name.ts';
import { type Campaign, openCampaign, readCampaign } from '../../store/campaign/registry.ts';
import { type InboxEntry, readWish, type Wish } from './entry.ts';
import { noteInbox } from './history.ts';
import { answer, enqueue, leave, reject } from './scripts.ts';
import { awaitOutcomes, isDecided, readRecorded, type Standing, type StandingDeps } from './standing.ts';

export interface IntakeDeps extends StandingDeps {
  /** Used where an entry brings no comment; null: such an entry is refused. */
  defaultComment: string | null;
  /** Ms since 1970, by Redis' clock. */
  wall(): number;
  log: Logger;
}

/**
 * An outcome that was decided no later than so many ms after its entry was added may stand in its stream before the place from
 * which on the service reads: told twice is better than missed. A script's clock may be 1 ms ahead of a stream's.
 */
const SAME_MS = 1;

/**
 * Turns entries of the inbox into requests. An entry leaves the inbox when its request is safe, and may come any number
 * of times until then.
 */
export function createIntake(deps: IntakeDeps) {
  const { redis, keys, ledger } = deps;

  /**
   * Takes entries in.
   *
   * @param onlyPressing leaves plain single cancels where they are: their lane is full.
   */
  async function take(entries: readonly InboxEntry[], onlyPressing = false): Promise<void> {
    const wishes: Wish[] = [];
    const refused: { entry: InboxEntry; reason: string }[] = [];
    for (const entry of entries) {
      const read = readWish(entry, deps.defaultComment);
      if (read.ok) wishes.push(read.wish);
      else refused.push(read);
    }
    await refuseAll(refused);
    const singles = wishes.filter(({ campaign }) => campaign === null);
    const pressing = singles.filter(({ urgent }) => urgent);
    await takeSingles('cancel-urgent', pressing);
    if (!onlyPressing)
      await takeSingles(
        'cancel',
        singles.filter(({ urgent }) => !urgent),
      );
    for (const [name, part] of byCampaign(wishes)) await takeForCampaign(name, part);
  }

  async function takeSingles(lane: 'cancel' | 'cancel-urgent', wishes: readonly Wish[]): Promise<void> {
    const standings = await awaitOutcomes(deps, wishes);
    const isAnswered = ({ wish, record }: Standing) => isDecided(record) && !wish.request.again;
    const changed = await answerAll(standings.filter(isAnswered));
    const rest = standings.filter((standing) => !isAnswered(standing)).map(({ wish }) => wish);
    await enqueue(deps, lane, rest);
    if (changed.length > 0) await takeSingles(lane, changed);
  }

  /** As a submit does: also for an id that has an outcome, so that the campaign's report shows it. */
  async function takeForCampaign(name: string, wishes: readonly Wish[]): Promise<void> {
    const opened = await openFor(name, wishes);
    if (!opened) return;
    const { campaign, accepted } = opened;
    if (!(await submit(campaign, accepted))) return;
    // After it: what the submit has opened again has no outcome any more.
    const standings = await awaitOutcomes(deps, accepted);
    const changed = await answerAll(standings.filter(({ record }) => isDecided(record)));
    const open = standings.filter(({ record }) => !isDecided(record));
    await leave(
      deps,
      open.map(({ wish }) => wish),
    );
    if (changed.length > 0) await takeForCampaign(name, changed);
  }

  /** The campaign of that name, opened if it is new, and those of the wishes that it takes; null: none. */
  async function openFor(
    name: string,
    wishes: readonly Wish[],
  ): Promise<{ campaign: Campaign; accepted: Wish[] } | null> {
    const known = await findCampaign(name);
    const timely = known ? wishes : await refuseLate(wishes);
    const campaign = known ?? (await open(name, timely));
    if (!campaign) return null;
    if (isClosed(campaign)) {
      await refuseFor(timely, closedReason(name, campaign.state));
      return null;
    }
    const accepted: Wish[] = [];
    const refused: { entry: InboxEntry; reason: string }[] = [];
    for (const wish of timely) {
      const reason = expiryProblem(campaign, wish);
      if (reason === null) accepted.push(wish);
      else refused.push({ entry: wish.entry, reason });
    }
    await refuseAll(refused);
    return { campaign, accepted };
  }

  async function findCampaign(name: string): Promise<Campaign | null> {
    const number = await redis.hget(keys.campaigns, name);
    return number === null ? null : readCampaign(redis, keys, Number(number));
  }

  /** A campaign that has expired before it begins would use up its name for nothing. */
  async function refuseLate(wishes: readonly Wish[]): Promise<Wish[]> {
    const now = deps.wall();
    const isLate = ({ request: { expiresAt } }: Wish) => expiresAt !== null && expiresAt <= now;
    await refuseFor(
      wishes.filter(isLate),
      'expiresAt: in the past; a number must be in milliseconds since 1970',
    );
    return wishes.filter((wish) => !isLate(wish));
  }

  /** The first entry that has a comment opens it; those before it cannot. */
  async function open(name: string, wishes: readonly Wish[]): Promise<Campaign | null> {
    const opener = wishes.find(({ request }) => request.comment !== '');
    if (!opener) {
      const reason = 'comment: required for a new campaign, because DEFAULT_COMMENT is not set';
      await refuseFor(wishes, reason);
      return null;
    }
    const { comment, requestedBy, expiresAt } = opener.request;
    const { traceparent } = opener;
    const wanted = { name, comment, requestedBy, expiresAt, traceparent, now: deps.wall() };
    const { number, created } = await openCampaign(redis, keys, wanted);
    if (created) deps.log.info({ campaign: name, requestedBy }, 'created a campaign from the inbox');
    return readCampaign(redis, keys, number);
  }

  /** @returns false when the campaign has been closed meanwhile: then they are refused. */
  async function submit({ number, name }: Campaign, wishes: readonly Wish[]): Promise<boolean> {
    if (wishes.length === 0) return true;
    const ids = guidsToBytes(wishes.map(({ request }) => request.machineActionId));
    try {
      const { accepted } = await ledger.submit(number, ids, name);
      if (accepted > 0) await noteInbox(deps, number, askers(wishes), accepted);
      return true;
    } catch (error) {
      if (!(error instanceof StanddownError && error.code === 'CAMPAIGN_CLOSED')) throw error;
      const state = (await readCampaign(redis, keys, number))?.state ?? 'deleted';
      await refuseFor(wishes, closedReason(name, state));
      return false;
    }
  }

  /** @returns those whose id has been opened again meanwhile. */
  async function answerAll(standings: readonly Standing[]): Promise<Wish[]> {
    const changed: Wish[] = [];
    await Promise.all(
      standings.map(async ({ wish, record }) => {
        if (!record) return;
        const { values, decidedAt } = await readRecorded(deps, wish, record);
        const isTold = decidedAt > wish.at + SAME_MS;
        if (!(await answer(deps, wish, { values, generation: record.generation, isTold })))
          changed.push(wish);
      }),
    );
    return changed;
  }

  function refuseFor(wishes: readonly Wish[], reason: string): Promise<void> {
    return refuseAll(wishes.map(({ entry }) => ({ entry, reason })));
  }

  /** One line for all: a service that does one thing wrong does it often. */
  async function refuseAll(refused: readonly { entry: InboxEntry; reason: string }[]): Promise<void> {
    const [first] = refused;
    if (!first) return;
    await Promise.all(refused.map(({ entry, reason }) => reject(deps, entry, reason)));
    const example = { entry: first.entry.id, reason: first.reason };
    deps.log.warn({ rejected: refused.length, ...example }, 'rejected inbox entries');
  }

  return { take };
}

function byCampaign(wishes: readonly Wish[]): Map<string, Wish[]> {
  const parts = new Map<string, Wish[]>();
  for (const wish of wishes) {
    if (wish.campaign === null) continue;
    const part = parts.get(wish.campaign) ?? [];
    part.push(wish);
    parts.set(wish.campaign, part);
  }
  return parts;
}

function isClosed({ state }: Campaign): boolean {
  return state !== 'running' && state !== 'paused';
}

function closedReason(name: string, state: string): string {
  return `campaign: ${quoted(name)} is ${state} and accepts no more actions`;
}

/** A campaign's ids all expire when it does; an entry that says another time asks for what will not happen. */
function expiryProblem({ name, expiresAt }: Campaign, { request }: Wish): string | null {
  if (request.expiresAt === null || request.expiresAt === expiresAt) return null;
  const expiry = expiresAt === null ? 'never expires' : `expires at ${new Date(expiresAt).toISOString()}`;
  return `expiresAt: campaign ${quoted(name)} ${expiry}; omit expiresAt, or set it to the same time`;
}

/** Who asked, for the campaign's history: some of them stand for all where they are many. */
function askers(wishes: readonly Wish[]): string {
  const names = new Set(wishes.map(({ request }) => request.requestedBy ?? 'inbox'));
  const [first = 'inbox', ...others] = names;
  return others.length === 0 ? first : `${first} and ${others.length} more`;
}
