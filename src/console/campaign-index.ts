import { setTimeout } from 'node:timers/promises';
import { StanddownError } from '../base/errors.ts';
import { bytesToGuid, guidsToBytes } from '../base/guid.ts';
import { eachId, eachPart } from '../store/campaign/ids.ts';
import { type Campaign, readCampaign } from '../store/campaign/registry.ts';
import { eachResult, linesOf, type PlacedResult, type ReportDeps } from '../store/campaign/report.ts';
import type { Look } from '../store/ledger/look.ts';
import { openRow, type Row, toRow } from './row.ts';

/** Every request of a campaign, to search, sort and count. */
export interface Indexed {
  /** Another one whenever anything changed. */
  version: number;
  /** When something changed last, in ms since 1970. */
  readAt: number;
  /** In the order of the list. */
  rows: readonly Row[];
  /** Where the results of an id stand in the campaign's results, in order. */
  placesOf(id: string): readonly number[];
}

export type CampaignIndex = ReturnType<typeof createCampaignIndex>;

/** Ids looked up at once. */
const PART = 1_000;

/** It is not read more often, in ms: a page looks twice as often, and several people may look. */
const UPDATE_MS = 4_000;

interface State {
  /** Whose it is: where Redis lost its data, another campaign may have the number. */
  name: string;
  createdAt: number;
  version: number;
  readAt: number;
  rows: Row[];
  byId: Map<string, Row>;
  places: Map<string, number[]>;
  /** Place of the last result that is in it. */
  end: number;
  /** Own ids without an outcome. */
  open: number;
  /** Ids when it was built. */
  total: number;
  /** What was read last of each id that it tracks, as `stampOf`. */
  tracked: Map<string, string>;
}

/**
 * Reads a campaign once, and from then on only its new results, and those of ids that it tracks. What these do not tell (ids that were
 * added, or opened again) shows in the campaign's own counts: then it is read anew.
 */
export function createCampaignIndex(deps: ReportDeps, number: number) {
  let state: State | null = null;
  let versions = 0;
  let updating: Promise<State> | null = null;
  let updatedAt = Number.NEGATIVE_INFINITY;
  let failure: unknown = null;

  async function update(): Promise<State> {
    const campaign = await readCampaign(deps.redis, deps.keys, number);
    if (!campaign)
      throw new StanddownError('CAMPAIGN_UNKNOWN', 'This campaign does not exist, or was deleted.');
    if (state && (state.name !== campaign.name || state.createdAt !== campaign.createdAt)) state = null;
    const tracked = await deps.redis.scard(deps.keys.elsewhere(number));
    const isWhole = (known: State) => known.total === campaign.total && known.tracked.size === tracked;
    if (state && isWhole(state)) {
      await addResults(deps, campaign, state);
      if (await followTracked(deps, campaign, state)) state.version = 0;
    }
    if (!state || !isWhole(state) || state.open !== campaign.open) {
      const built = await build(deps, campaign);
      // Where the count moves on meanwhile, the next update brings the rest.
      state = { ...built, version: 0 };
    }
    const isNew = state.version === 0 || state.end !== lastEnd;
    lastEnd = state.end;
    if (isNew) {
      state.version = ++versions;
      state.readAt = Date.now();
    }
    return state;
  }
  let lastEnd = -1;

  const view = ({ version, readAt, rows, places }: State): Indexed => ({
    version,
    readAt,
    rows,
    placesOf: (id) => places.get(id) ?? [],
  });

  function refresh(): Promise<State> {
    updating ??= update()
      .then(
        (read) => {
          failure = null;
          return read;
        },
        (error: unknown) => {
          failure = error;
          throw error;
        },
      )
      .finally(() => {
        updating = null;
        // Also after a failure, or each look would read all of it anew.
        updatedAt = performance.now();
      });
    return updating;
  }

  return {
    /** What is known now, if anything is; reads what is new behind the scenes. */
    now: (): Indexed | null => {
      if (performance.now() - updatedAt > UPDATE_MS) refresh().catch(() => undefined);
      return state && view(state);
    },
    /** As it stands. */
    read: async (): Promise<Indexed> => view(await refresh()),
    /** The same as `now`, once it is known, but for no longer than so many ms. */
    soon: async (waitMs: number): Promise<Indexed | null> => {
      if (updating !== null || performance.now() - updatedAt > UPDATE_MS) {
        const read = refresh().catch(() => undefined);
        await Promise.race([read, setTimeout(waitMs, undefined, { ref: false })]);
      }
      return state && view(state);
    },
    /** Why it could not be read the last time; null: it could. */
    problem: (): unknown => failure,
  };
}

async function addResults(deps: ReportDeps, campaign: Campaign, state: State): Promise<void> {
  for await (const placed of eachResult(deps, campaign, state.end)) {
    // The rest came after the campaign was read, so that its counts do not know of them.
    if (placed.place > campaign.results) break;
    note(state, campaign, placed);
  }
}

function note(
  state: Pick<State, 'byId' | 'places' | 'end' | 'open'>,
  campaign: Campaign,
  placed: PlacedResult,
): void {
  const { place, result } = placed;
  const id = result.machineActionId;
  const row = state.byId.get(id);
  state.end = place;
  state.places.set(id, [...(state.places.get(id) ?? []), place]);
  if (!row) return;
  if (row.outcome === 'open') state.open--;
  Object.assign(row, toRow(result, campaign.name));
}

async function build(deps: ReportDeps, campaign: Campaign): Promise<State> {
  const state: State = {
    name: campaign.name,
    createdAt: campaign.createdAt,
    version: 0,
    readAt: 0,
    rows: [],
    byId: new Map(),
    places: new Map(),
    end: 0,
    open: 0,
    total: campaign.total,
    tracked: new Map(),
  };
  const decided = new Map<string, Row>();
  for await (const { place, result } of eachResult(deps, campaign, 0)) {
    if (place > campaign.results) break;
    const id = result.machineActionId;
    state.end = place;
    const earlier = state.places.get(id);
    if (earlier) earlier.push(place);
    else state.places.set(id, [place]);
    decided.set(id, shared(toRow(result, campaign.name)));
  }
  for await (const ids of eachPart(deps.redis, deps.keys, campaign.number, PART)) {
    const records = await deps.ledger.look(ids, campaign.number);
    let at = 0;
    for (const bytes of eachId(ids)) {
      const record = records[at++] ?? null;
      const id = bytesToGuid(bytes);
      const isOwn = record?.campaign === campaign.number;
      const row = isOwn ? rowOf(id, record, decided, state.end) : openRow(id, NOTHING_USED);
      if (!isOwn) state.tracked.set(id, '');
      else if (row.outcome === 'open') state.open++;
      state.byId.set(id, row);
      state.rows.push(row);
    }
  }
  await followTracked(deps, campaign, state);
  return state;
}

const NOTHING_USED = { attempts: 0, uncertain: false };

function rowOf(id: string, record: Look, decided: ReadonlyMap<string, Row>, end: number): Row {
  const row = decided.get(id);
  // Decided since the campaign was read: its result comes with the next update.
  const stands = row !== undefined && record.position > 0 && record.position <= end;
  return stands ? row : openRow(id, record.position > end ? NOTHING_USED : pick(record));
}

/** Reads again what has changed of ids that other campaigns own. @returns whether anything has. */
async function followTracked(deps: ReportDeps, campaign: Campaign, state: State): Promise<boolean> {
  let isChanged = false;
  const all = [...state.tracked.keys()];
  for (let from = 0; from < all.length; from += PART) {
    const ids = all.slice(from, from + PART);
    const records = await deps.ledger.look(guidsToBytes(ids), campaign.number);
    const changed = ids
      .map((id, index) => ({ id, record: records[index] ?? null }))
      .filter(({ id, record }) => state.tracked.get(id) !== stampOf(record));
    if (changed.length === 0) continue;
    const bytes = guidsToBytes(changed.map(({ id }) => id));
    const seen = changed.map(({ record }) => record);
    const lines = await linesOf(deps, campaign, bytes, seen);
    for (const [index, line] of lines.entries()) {
      const row = state.byId.get(line.machineActionId);
      if (row) Object.assign(row, shared(toRow(line, campaign.name)));
      state.tracked.set(line.machineActionId, stampOf(seen[index] ?? null));
    }
    isChanged = true;
  }
  return isChanged;
}

/** Another one whenever there is something new to read of an id. */
function stampOf(record: Look | null): string {
  return record === null
    ? 'gone'
    : [record.campaign, record.generation, record.position, record.state].join(' ');
}

function pick({ attempts, uncertain }: Look): Pick<Row, 'attempts' | 'uncertain'> {
  return { attempts, uncertain };
}

/** Texts that come again and again are kept once. */
const texts = new Map<string, string>();
const MOST_TEXTS = 10_000;

function shared(row: Row): Row {
  for (const field of ['type', 'status', 'code', 'error'] as const) {
    const known = texts.get(row[field]);
    if (known !== undefined) row[field] = known;
    else if (texts.size < MOST_TEXTS) texts.set(row[field], row[field]);
  }
  return row;
}
