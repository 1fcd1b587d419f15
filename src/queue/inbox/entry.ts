import { isUtf8 } from 'node:buffer';
import { parseTraceparent } from '../../base/traceparent.ts';
import { campaignNameProblem } from '../../store/campaign/registry.ts';
import { JOB_NAME } from '../../store/keys.ts';
import { parseJob, type Request } from '../job.ts';

/** An entry of the inbox as Redis gives it: anybody may have written anything. */
export interface InboxEntry {
  id: string;
  /** Names and values in turn. */
  fields: readonly Buffer[];
}

/** What an entry asks for, checked. */
export interface Wish {
  entry: InboxEntry;
  /** When it was added, in ms since 1970 by Redis' clock. */
  at: number;
  /** Its comment is empty only with a campaign: the one that is to be opened needs one, others have one. */
  request: Request;
  urgent: boolean;
  /** Null: a single cancel. */
  campaign: string | null;
  /** Of the trace that it belongs to, by its own word; null: none. */
  traceparent: string | null;
}

export type ReadWish = { ok: true; wish: Wish } | { ok: false; entry: InboxEntry; reason: string };

/** Fields with a meaning; all others are ignored, so that a newer service's entries are still understood. */
const FIELDS = [
  'v',
  'machineActionId',
  'comment',
  'campaign',
  'requestedBy',
  'expiresAt',
  'again',
  'priority',
] as const;

type Field = (typeof FIELDS)[number];
type Values = Partial<Record<Field, string>>;

/** No field may be longer, in bytes: 4,000 characters of four bytes each, as the longest comment may be. */
const MOST_BYTES = 16_000;

const TRUTHS = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

const PRIORITIES = new Map([
  ['urgent', true],
  ['normal', false],
]);

/**
 * Reads what a service wrote. Never throws: what asks for nothing that can be done is an answer, with the reason in words.
 *
 * @param defaultComment used where an entry brings none; null: such an entry is refused.
 */
export function readWish(entry: InboxEntry, defaultComment: string | null): ReadWish {
  const refuse = (reason: string): ReadWish => ({ ok: false, entry, reason });
  const values = readValues(entry.fields);
  if (typeof values === 'string') return refuse(values);
  const { campaign = null, priority = 'normal', again = 'false' } = values;
  const isUrgent = PRIORITIES.get(priority);
  if (isUrgent === undefined) return refuse('priority: must be "urgent" or "normal"');
  const isAgain = TRUTHS.get(again);
  if (isAgain === undefined) return refuse('again: must be "true" or "false"');
  const problem = campaign === null ? null : problemWith(campaign, { isUrgent, isAgain });
  if (problem !== null) return refuse(problem);
  if (values.machineActionId === undefined) return refuse('machineActionId: required');
  const comment = campaign === null ? defaultComment : (defaultComment ?? '');
  const parsed = parseJob(JOB_NAME, jobDataOf(values, isAgain), { comment });
  if (!parsed.ok) return refuse(parsed.reason);
  const at = Number(entry.id.split('-')[0]);
  const traceparent = traceparentOf(entry.fields);
  return { ok: true, wish: { entry, at, request: parsed.request, urgent: isUrgent, campaign, traceparent } };
}

/** @returns the fields that have a meaning, the empty ones left out; or what is wrong with one. */
function readValues(fields: readonly Buffer[]): Values | string {
  const seen = new Set<Field>();
  const values: Values = {};
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fieldCalled(fields[i]);
    const value = fields[i + 1];
    if (name === undefined || value === undefined) continue;
    if (seen.has(name)) return `${name}: given twice`;
    seen.add(name);
    if (value.length > MOST_BYTES) return `${name}: longer than ${MOST_BYTES} bytes`;
    if (!isUtf8(value)) return `${name}: not valid UTF-8`;
    const text = value.toString();
    // A campaign's name is kept as it is, so that what is wrong with it can be said.
    if (text.trim() !== '') values[name] = name === 'campaign' ? text : text.trim();
  }
  return values;
}

/** No cancel is refused over a trace: the first field of that name counts, if it can be used. */
function traceparentOf(fields: readonly Buffer[]): string | null {
  const name = fields.findIndex(
    (field, i) => i % 2 === 0 && field.toString('latin1', 0, 20) === 'traceparent',
  );
  const text = name < 0 ? '' : (fields[name + 1]?.toString('latin1', 0, 600).trim() ?? '');
  return parseTraceparent(text) ? text : null;
}

function fieldCalled(name: Buffer | undefined): Field | undefined {
  return FIELDS.find((field) => name?.length === field.length && name.toString('latin1') === field);
}

/** A campaign has its own order, and its ids are called once more by `retry`. */
function problemWith(campaign: string, { isUrgent, isAgain }: { isUrgent: boolean; isAgain: boolean }) {
  if (isUrgent)
    return 'priority: "urgent" is not allowed with a campaign; set the priority of the campaign instead';
  if (isAgain) return 'again: not allowed with a campaign; run "standdown retry" instead';
  const problem = campaignNameProblem(campaign);
  return problem === null ? null : `campaign: the name ${problem}`;
}

/** The same as data of a job, which has numbers and truth values where a stream has text only. */
function jobDataOf(values: Values, again: boolean): object {
  const { v, machineActionId, comment, requestedBy, expiresAt } = values;
  return {
    ...(v !== undefined && { v: /^\d{1,9}$/.test(v) ? Number(v) : v }),
    machineActionId,
    comment,
    requestedBy,
    expiresAt: expiresAt !== undefined && /^\d{1,16}$/.test(expiresAt) ? Number(expiresAt) : expiresAt,
    again,
  };
}
