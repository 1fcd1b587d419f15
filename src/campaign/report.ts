import { bytesToGuid } from '../guid.ts';
import type { Keys } from '../keys.ts';
import { ID_BYTES } from '../ledger/batch.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Look } from '../ledger/look.ts';
import { entryValues, readEntry } from '../ledger/result.ts';
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
const PART = 1_000;

/**
 * What became of each id of a campaign: first what is decided, in the order of the decisions; then ids that another
 * campaign owns, with that campaign and the outcome there; then what is open, in the order of the list. Of an id with
 * several outcomes (retried) the latest. Read in parts: memory does not grow with the campaign.
 */
export async function* reportCampaign(deps: ReportDeps, campaign: Campaign): AsyncGenerator<ReportLine> {
  const last = yield* decided(deps, campaign);
  yield* rest(deps, campaign, last);
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

/** The same, in parts of up to a thousand. */
export async function* eachResultPart(
  { redis, keys }: Pick<ReportDeps, 'redis' | 'keys'>,
  campaign: Campaign,
  after: number,
): AsyncGenerator<PlacedResult[]> {
  const origin = originOf(campaign);
  for (let last = after; ; ) {
    const entries = await redis.xrange(keys.results(campaign.number), `(${last}-0`, '+', 'COUNT', PART);
    if (entries.length === 0) return;
    const part = entries.map(([id, flat]) => ({
      place: placeOf(id),
      result: readEntry(entryValues(flat), origin).result,
    }));
    last = part.at(-1)?.place ?? last;
    yield part;
  }
}

/** @returns the place of the last entry that was read. */
async function* decided(deps: ReportDeps, campaign: Campaign): AsyncGenerator<ReportLine, number> {
  let last = 0;
  for await (const part of eachResultPart(deps, campaign, 0)) {
    const ids = part.map(({ result }) => toBytes(result.machineActionId));
    const records = await deps.ledger.look(Buffer.concat(ids));
    for (const [index, { place, result }] of part.entries()) {
      last = place;
      const record = records[index];
      // Later outcomes, here or elsewhere, take this one's place; an open record says so further down.
      if (record?.campaign === campaign.number && record.position === place) yield result;
    }
  }
  return last;
}

async function* rest(deps: ReportDeps, campaign: Campaign, last: number): AsyncGenerator<ReportLine> {
  const { redis, keys, ledger } = deps;
  const open: ReportLine[] = [];
  for await (const ids of eachPart(redis, keys, campaign.number, PART)) {
    const records = await ledger.look(ids);
    let place = 0;
    for (const id of eachId(ids)) {
      const record = records[place++];
      if (!record) continue;
      // Decided while this report was being read.
      const isLate = record.campaign === campaign.number && record.position > last;
      if (record.campaign !== campaign.number || isLate) yield await resultOf(deps, id, record);
      else if (record.position === 0) open.push(openLine(campaign, id, record));
    }
    if (open.length > 0) yield* open.splice(0);
  }
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

function placeOf(entryId: string): number {
  return Number(entryId.split('-')[0]);
}

function toBytes(guid: string): Buffer {
  return Buffer.from(guid.replaceAll('-', ''), 'hex').subarray(0, ID_BYTES);
}
