import { StanddownError } from '../../base/errors.ts';
import { bytesToGuid, guidsToBytes } from '../../base/guid.ts';
import type { CancelResult } from '../../base/outcome.ts';
import { quoted } from '../../base/words/name.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Look } from '../ledger/look.ts';
import { readEntry } from '../ledger/result.ts';
import { readResultAt } from '../ledger/result-at.ts';
import { readResults } from '../ledger/results.ts';
import type { RedisClient } from '../script.ts';
import { eachId, eachPart } from './ids.ts';
import { type Campaign, originOf, readCampaign } from './registry.ts';

/** A line of a report: what became of one id, or why it has no outcome: null, it is pending; `unknown`, the campaign that owned it was deleted. */
export type ReportLine =
  | CancelResult
  | (Omit<CancelResult, 'outcome' | 'decidedAt'> & { outcome: null | 'unknown'; decidedAt: null });

export interface ReportDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
}

/** Entries and ids read at once. */
const PART = 250;

/**
 * What became of each id of a campaign: first what is decided, in the order of the decisions; then ids that it tracks, with the campaign
 * that owns them and the outcome there; then what is open, in the order of the list. Of an id with
 * several results (retried, verified) the latest; of one that another campaign has opened again, how it ended in this one. Each id once, as it stood when the reading began or later. Read in
 * parts: memory does not grow with the campaign.
 *
 * @throws StanddownError CAMPAIGN_UNKNOWN when it is deleted meanwhile.
 */
export async function* reportCampaign(deps: ReportDeps, campaign: Campaign): AsyncGenerator<ReportLine> {
  const start = await readStart(deps, campaign);
  const given = createGiven(start.end);
  const isComplete = yield* decided(deps, campaign, start, given);
  if (!isComplete) yield* rest(deps, campaign, start, given);
  const now = await readCampaign(deps.redis, deps.keys, campaign.number);
  // Where Redis lost its data, another one may have the number.
  if (!now || now.state === 'deleted' || now.name !== campaign.name) {
    const message = `campaign ${quoted(campaign.name)} was deleted while its report was read; the report is incomplete`;
    throw new StanddownError('CAMPAIGN_UNKNOWN', message);
  }
}

/** A campaign as it stands when a report begins. */
interface Start {
  /** Place of its last result. */
  end: number;
  /** Whether every id has a result here. */
  isDecided: boolean;
}

async function readStart({ redis, keys }: ReportDeps, { number }: Campaign): Promise<Start> {
  const [elsewhere, counters] = await Promise.all([
    redis.scard(keys.elsewhere(number)),
    redis.hmget(keys.campaign(number), 'results', 'open'),
  ]);
  const [end = 0, open = 0] = counters.map(Number);
  return { end, isDecided: open === 0 && elsewhere === 0 };
}

/** Which results a report has given already: one bit for each place, for a million of them must not be kept. */
interface Given {
  note(place: number): void;
  has(place: number): boolean;
  /** Ids whose result was given although another one had taken its place by then. */
  moved: Set<string>;
}

function createGiven(end: number): Given {
  const bits = new Uint8Array(Math.ceil((end + 1) / 8));
  return {
    note: (place) => {
      bits[place >> 3] = (bits[place >> 3] ?? 0) | (1 << (place & 7));
    },
    has: (place) => ((bits[place >> 3] ?? 0) & (1 << (place & 7))) !== 0,
    moved: new Set(),
  };
}

/** A result and its place in the campaign's results. */
export interface PlacedResult {
  place: number;
  result: CancelResult;
}

/** A campaign's results after a place, in order, as they were recorded: of an id that was retried or verified all. */
export async function* eachResult(
  deps: Pick<ReportDeps, 'redis' | 'keys'>,
  campaign: Campaign,
  after: number,
): AsyncGenerator<PlacedResult> {
  for await (const part of eachResultPart(deps, campaign, after)) yield* part;
}

/** The same, in parts. */
async function* eachResultPart(
  { redis, keys }: Pick<ReportDeps, 'redis' | 'keys'>,
  campaign: Campaign,
  after: number,
): AsyncGenerator<PlacedResult[]> {
  const origin = originOf(campaign);
  for (let last = after; ; ) {
    const entries = await readResults(redis, keys.results(campaign.number), last, PART);
    const end = entries.at(-1);
    if (!end) return;
    last = end.place;
    yield entries.map(({ place, values }) => ({ place, result: readEntry(values, origin).result }));
  }
}

/** @returns whether that is all there is: then the list need not be gone through. */
async function* decided(
  deps: ReportDeps,
  campaign: Campaign,
  { end, isDecided }: Start,
  given: Given,
): AsyncGenerator<ReportLine, boolean> {
  // Results of ids that were given another one since the start. The last one of each is the one that stood then.
  const moved = new Map<string, CancelResult>();
  let isComplete = isDecided;
  for await (const part of readAhead(partsWithRecords(deps, campaign, campaign.number))) {
    for (const { place, result, record } of part) {
      if (place > end) break;
      const isOpen = record?.campaign !== campaign.number || record.position === 0;
      if (isOpen) isComplete = false;
      else if (record.position === place) {
        given.note(place);
        yield result;
      } else if (record.position > end) moved.set(result.machineActionId, result);
    }
    if ((part.at(-1)?.place ?? 0) >= end) break;
  }
  for (const id of moved.keys()) given.moved.add(id);
  yield* moved.values();
  return isComplete;
}

/** Results and what the ledger says of their ids. @param seenBy number of the campaign whose view of them it is; null: as they are. */
async function* partsWithRecords(
  deps: ReportDeps,
  campaign: Campaign,
  seenBy: number | null,
): AsyncGenerator<(PlacedResult & { record: Look | null })[], void, void> {
  for await (const part of eachResultPart(deps, campaign, 0)) {
    const ids = guidsToBytes(part.map(({ result }) => result.machineActionId));
    const records = await deps.ledger.look(ids, seenBy);
    yield part.map((placed, index) => ({ ...placed, record: records[index] ?? null }));
  }
}

/** The results that stand, with their places: later ones, here or in another campaign, take a result's place. */
export async function* eachStanding(
  deps: ReportDeps,
  campaign: Campaign,
): AsyncGenerator<PlacedResult, void, void> {
  for await (const part of partsWithRecords(deps, campaign, null)) {
    for (const { place, result, record } of part) {
      if (record?.campaign === campaign.number && record.position === place) yield { place, result };
    }
  }
}

/** Lets the source work on its next part while the last one is being used. */
async function* readAhead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      next = source.next();
      // A failure is thrown when its turn comes, if that comes.
      next.catch(() => undefined);
      yield value;
    }
  } finally {
    await source.return(undefined);
  }
}

async function* rest(
  deps: ReportDeps,
  campaign: Campaign,
  start: Start,
  given: Given,
): AsyncGenerator<ReportLine> {
  const { redis, keys, ledger } = deps;
  // What was opened again or verified since its result may have been given: by GUID, its id and record.
  const doubtful = new Map<string, { id: Buffer; record: Look }>();
  for await (const ids of eachPart(redis, keys, campaign.number, PART)) {
    const records = await ledger.look(ids, campaign.number);
    const open: ReportLine[] = [];
    let place = 0;
    for (const id of eachId(ids)) {
      const record = records[place++];
      // The campaign that owned it was deleted, or its retention is over.
      if (!record) open.push(unknownLine(campaign, id));
      else if (record.campaign !== campaign.number) yield await resultOf(deps, id, record);
      else if (record.position === 0 && record.generation === 1) open.push(openLine(campaign, id, record));
      else if (record.position === 0 || record.position > start.end) {
        doubtful.set(bytesToGuid(id), { id: Buffer.from(id), record });
      }
    }
    yield* open;
    if (doubtful.size >= MOST_DOUBTFUL) yield* notGiven(deps, campaign, start, given, doubtful);
  }
  yield* notGiven(deps, campaign, start, given, doubtful);
}

/** So many are looked up at once: each time the results are gone through once more. */
const MOST_DOUBTFUL = 50_000;

/** Lines of those that were not given yet; empties the map. */
async function* notGiven(
  deps: ReportDeps,
  campaign: Campaign,
  { end }: Start,
  given: Given,
  doubtful: Map<string, { id: Buffer; record: Look }>,
): AsyncGenerator<ReportLine> {
  if (doubtful.size === 0) return;
  for (const id of given.moved) doubtful.delete(id);
  for await (const { place, result } of eachResult(deps, campaign, 0)) {
    if (place > end) break;
    if (given.has(place)) doubtful.delete(result.machineActionId);
  }
  for (const { id, record } of doubtful.values()) {
    yield record.position === 0 ? openLine(campaign, id, record) : await resultOf(deps, id, record);
  }
  doubtful.clear();
}

/** Lines of some of its ids (16 bytes each), in their order, as they stand. */
export async function reportIds(deps: ReportDeps, campaign: Campaign, ids: Buffer): Promise<ReportLine[]> {
  const records = await deps.ledger.look(ids, campaign.number);
  return linesOf(deps, campaign, ids, records);
}

/** The same, by what was looked up of them. */
export async function linesOf(
  deps: ReportDeps,
  campaign: Campaign,
  ids: Buffer,
  records: readonly (Look | null)[],
): Promise<ReportLine[]> {
  const read = ownersOf(deps);
  return Promise.all(
    [...eachId(ids)].map((id, index) => {
      const record = records[index];
      if (!record) return unknownLine(campaign, id);
      const isOpenHere = record.position === 0 && record.campaign === campaign.number;
      return isOpenHere ? openLine(campaign, id, record) : resultOf(deps, id, record, read);
    }),
  );
}

/** Results of one id at these places of a campaign's results, in order; those that are gone left out. */
export async function resultsAt(
  { redis, keys }: Pick<ReportDeps, 'redis' | 'keys'>,
  campaign: Campaign,
  places: readonly number[],
): Promise<CancelResult[]> {
  const found = await Promise.all(
    places.map((place) => readResultAt(redis, keys.results(campaign.number), place)),
  );
  return found.flatMap((values) => (values ? readEntry(values, originOf(campaign)).result : []));
}

/** Campaigns by their number, each read once. */
function ownersOf({ redis, keys }: ReportDeps): (number: number) => Promise<Campaign | null> {
  const owners = new Map<number, Promise<Campaign | null>>();
  return (number) => {
    const owner = owners.get(number) ?? readCampaign(redis, keys, number);
    owners.set(number, owner);
    return owner;
  };
}

/** An outcome by the place that the ledger names. */
async function resultOf(
  deps: ReportDeps,
  id: Buffer,
  record: Look,
  read = ownersOf(deps),
): Promise<ReportLine> {
  const { redis, keys } = deps;
  const owner = await read(record.campaign);
  const values =
    record.position > 0 ? await readResultAt(redis, keys.results(record.campaign), record.position) : null;
  if (owner && values) return readEntry(values, originOf(owner)).result;
  return openLine(owner ?? nobody({ createdAt: 0 }), id, record);
}

/** In place of a campaign that is gone, for one that follows ids of it: when that asked for them is known. */
function nobody({ createdAt }: Pick<Campaign, 'createdAt'>) {
  return { name: '', requestedBy: null, createdAt };
}

function unknownLine(campaign: Campaign, id: Buffer): ReportLine {
  return { ...openLine(nobody(campaign), id, { attempts: 0, uncertain: false }), outcome: 'unknown' };
}

function openLine(
  campaign: Pick<Campaign, 'name' | 'requestedBy' | 'createdAt'>,
  id: Buffer,
  record: Pick<Look, 'attempts' | 'uncertain'>,
): ReportLine & { outcome: null } {
  return {
    machineActionId: bytesToGuid(id),
    outcome: null,
    attempts: record.attempts,
    uncertain: record.uncertain,
    campaign: campaign.name,
    ...(campaign.requestedBy !== null && { requestedBy: campaign.requestedBy }),
    requestedAt: new Date(campaign.createdAt).toISOString(),
    decidedAt: null,
  };
}
