import { bytesToGuid, guidsToBytes } from '../guid.ts';
import type { Keys } from '../keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Look } from '../ledger/look.ts';
import { entryValues, readEntry } from '../ledger/result.ts';
import { readResults } from '../ledger/results.ts';
import type { CancelResult } from '../outcome.ts';
import type { RedisClient } from '../script.ts';
import { eachId, eachPart } from './ids.ts';
import { type Campaign, originOf, readCampaign } from './registry.ts';

/** A line of a report: what became of one id, or that it is open yet. */
export type ReportLine =
  | CancelResult
  | (Omit<CancelResult, 'outcome' | 'decidedAt'> & { outcome: null; decidedAt: null });

export interface ReportDeps {
  redis: RedisClient;
  keys: Keys;
  ledger: Ledger;
}

/** Entries and ids read at once. */
const PART = 250;

/**
 * What became of each id of a campaign: first what is decided, in the order of the decisions; then ids that another
 * campaign owns, with that campaign and the outcome there; then what is open, in the order of the list. Of an id with
 * several results (retried, verified) the latest. Each id once, as it stood when the reading began or later. Read in
 * parts: memory does not grow with the campaign.
 */
export async function* reportCampaign(deps: ReportDeps, campaign: Campaign): AsyncGenerator<ReportLine> {
  const start = await readStart(deps, campaign);
  const isComplete = yield* decided(deps, campaign, start);
  if (!isComplete) yield* rest(deps, campaign, start);
}

/** A campaign as it stands when a report begins. */
interface Start {
  /** Place of its last result. */
  end: number;
  /** Ms since 1970 of its last outcome. */
  decidedAt: number;
  /** Whether every id has a result here. */
  isDecided: boolean;
}

async function readStart({ redis, keys }: ReportDeps, { number }: Campaign): Promise<Start> {
  const [elsewhere, counters] = await Promise.all([
    redis.scard(keys.elsewhere(number)),
    redis.hmget(keys.campaign(number), 'results', 'decidedAt', 'open'),
  ]);
  const [end = 0, decidedAt = 0, open = 0] = counters.map(Number);
  return { end, decidedAt, isDecided: open === 0 && elsewhere === 0 };
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
): AsyncGenerator<ReportLine, boolean> {
  // Results of ids that were given another one since the start. The last one of each is the one that stood then.
  const moved = new Map<string, CancelResult>();
  let isComplete = isDecided;
  for await (const part of readAhead(partsWithRecords(deps, campaign))) {
    for (const { place, result, record } of part) {
      if (place > end) break;
      const isOpen = record?.campaign !== campaign.number || record.position === 0;
      if (isOpen) isComplete = false;
      else if (record.position === place) yield result;
      else if (record.position > end) moved.set(result.machineActionId, result);
    }
    if ((part.at(-1)?.place ?? 0) >= end) break;
  }
  yield* moved.values();
  return isComplete;
}

/** Results and what the ledger says of their ids. */
async function* partsWithRecords(
  deps: ReportDeps,
  campaign: Campaign,
): AsyncGenerator<(PlacedResult & { record: Look | null })[], void, void> {
  for await (const part of eachResultPart(deps, campaign, 0)) {
    const records = await deps.ledger.look(guidsToBytes(part.map(({ result }) => result.machineActionId)));
    yield part.map((placed, index) => ({ ...placed, record: records[index] ?? null }));
  }
}

/** The results that stand, with their places: later ones, here or elsewhere, take a result's place. */
export async function* eachStanding(
  deps: ReportDeps,
  campaign: Campaign,
): AsyncGenerator<PlacedResult, void, void> {
  for await (const part of partsWithRecords(deps, campaign)) {
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

async function* rest(deps: ReportDeps, campaign: Campaign, start: Start): AsyncGenerator<ReportLine> {
  const { redis, keys, ledger } = deps;
  const open: ReportLine[] = [];
  for await (const ids of eachPart(redis, keys, campaign.number, PART)) {
    const records = await ledger.look(ids);
    let place = 0;
    for (const id of eachId(ids)) {
      const record = records[place++];
      if (!record) continue;
      if (record.campaign !== campaign.number) yield await resultOf(deps, id, record);
      else if (record.position > start.end) {
        const line = await resultOf(deps, id, record);
        if (!wasReported(line, start)) yield line;
      } else if (record.position === 0) open.push(openLine(campaign, id, record));
    }
    if (open.length > 0) yield* open.splice(0);
  }
}

/** Whether it was decided when the report began, and only verified since: then it was reported as it stood. */
function wasReported(line: ReportLine, start: Start): boolean {
  return (
    line.outcome !== null && line.verifiedAt !== undefined && Date.parse(line.decidedAt) <= start.decidedAt
  );
}

/** An outcome by the place that the ledger names. */
async function resultOf(deps: ReportDeps, id: Buffer, record: Look): Promise<ReportLine> {
  const { redis, keys } = deps;
  const owner = await readCampaign(redis, keys, record.campaign);
  const place = `${record.position}-0`;
  const [entry] = record.position > 0 ? await redis.xrange(keys.results(record.campaign), place, place) : [];
  if (owner && entry) return readEntry(entryValues(entry[1]), originOf(owner)).result;
  return openLine(owner ?? { name: '', requestedBy: null, createdAt: 0 }, id, record);
}

function openLine(
  campaign: Pick<Campaign, 'name' | 'requestedBy' | 'createdAt'>,
  id: Buffer,
  record: Look,
): ReportLine {
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
