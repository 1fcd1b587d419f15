import { z } from 'zod';
import { excerpt, foreign } from '../base/foreign.ts';
import {
  type ActionSummary,
  COMMAND_COMPLETED,
  type Detail,
  NO_REASON,
  type Outcome,
  STOPPED_STATUS,
  wasStopped,
} from '../base/outcome.ts';
import type { Timings } from '../config/timings.ts';
import type { HttpAnswer, NoAnswer } from './exchange.ts';
import { retryAfter } from './retry-after.ts';

/** What an answer means for a request. */
export type Meaning =
  /** 200 with the action. */
  | { kind: 'action'; action: Action; detail: Detail }
  | { kind: 'not_found' | 'forbidden' | 'rejected'; detail: Detail }
  /** 400: may be final, or may have been ours. */
  | { kind: 'bad_request'; detail: Detail }
  | { kind: 'unauthorized'; detail: Detail }
  | { kind: 'throttled'; retryAfterMs: number; detail: Detail }
  /** No verdict yet: it may pass, or does not come from the API. At the last attempt it ends as `lastly` says. */
  | { kind: 'inconclusive'; lastly: Lastly; sign: 'alive' | 'fault' | 'none'; detail: Detail }
  /** Not an answer of the API, or not one to build on. */
  | {
      kind: 'fault';
      /** The call may have been carried out all the same. */
      lost: boolean;
      /** The wait that the answer names; none: it names none. */
      retryAfterMs?: number;
      detail: Detail;
    };

/** What an answer that is no verdict comes to when no attempt is left. `check`: a 400, about which Get is asked. */
export type Lastly = 'not_found' | 'forbidden' | 'rejected' | 'check';

/** The states from which an action does not change any more. Microsoft's list grows: an unknown one is not final. */
export const FINAL_STATUSES: readonly string[] = ['Succeeded', 'Failed', 'TimeOut', STOPPED_STATUS];

/** Microsoft's list, which grows: others are taken as they are. */
export const KNOWN_STATUSES: readonly string[] = ['Pending', 'InProgress', ...FINAL_STATUSES];

/** Refusals that are about the moment, not about the action: a conflict, a lock, a call that came too early. */
const PASSING: readonly number[] = [409, 423, 425];

/** Where a 429 says nothing: documented clients wait for the shorter window. */
const DEFAULT_RETRY_MS = 60_000;

const MAX_TEXT = 300;

const text = z.string().nullish().catch(null);

const actionSchema = z.object({
  id: z.string(),
  status: z.string(),
  type: text,
  requestor: text,
  machineId: text,
  computerDnsName: text,
  creationDateTimeUtc: text,
  lastUpdateDateTimeUtc: text,
  // Other answers call it so.
  lastUpdateTimeUtc: text,
  commands: z.array(z.unknown()).nullish().catch(null),
});

const commandSchema = z.object({ commandStatus: z.string(), endTime: text });

const errorSchema = z.object({ error: z.object({ code: text, message: text, target: text }) });

/** A machine action as the API gives it, of which only what is kept was read. */
export interface Action {
  /** Lower case. */
  id: string;
  requestor: string | null;
  summary: ActionSummary;
  /** Where its status alone would mislead: it says Cancelled, but a command of it had completed. */
  tooLate?: Pick<Detail, 'errorCode' | 'errorMessage'>;
}

/** Reads a machine action; null when it is none. Its id may be anything: who asked for a list looks at it. */
export function readAction(value: unknown): Action | null {
  const parsed = actionSchema.safeParse(value);
  if (!parsed.success) return null;
  const { id, status, type, machineId, computerDnsName, creationDateTimeUtc, commands } = parsed.data;
  const requestor = bounded(parsed.data.requestor) ?? null;
  const summary = {
    status: bounded(statusAs(status)) ?? null,
    type: bounded(type) ?? null,
    machineId: bounded(machineId) ?? null,
    computerDnsName: bounded(computerDnsName) ?? null,
    createdAt: time(creationDateTimeUtc),
    updatedAt: time(parsed.data.lastUpdateDateTimeUtc) ?? time(parsed.data.lastUpdateTimeUtc),
  };
  const tooLate = summary.status === STOPPED_STATUS ? completedCommand(commands ?? []) : null;
  return { id: id.toLowerCase(), requestor, summary, ...(tooLate && { tooLate }) };
}

/** What a result says of an action. */
export function seenOf({ summary, tooLate }: Action): Pick<Detail, 'action' | 'errorCode' | 'errorMessage'> {
  return { action: summary, ...tooLate };
}

/** A status as Microsoft spells it, whatever its case; both spellings of Cancelled are met. */
export function statusAs(text: string): string {
  const lower = text.toLowerCase();
  if (lower === 'canceled') return STOPPED_STATUS;
  return KNOWN_STATUSES.find((status) => status.toLowerCase() === lower) ?? text;
}

/** A live response can say Cancelled although a command of it ran to its end. Null: none did. */
function completedCommand(commands: readonly unknown[]): Pick<Detail, 'errorCode' | 'errorMessage'> | null {
  const completed = commands.flatMap((command) => {
    const parsed = commandSchema.safeParse(command);
    return parsed.data?.commandStatus.toLowerCase() === 'completed' ? [time(parsed.data.endTime) ?? ''] : [];
  });
  if (completed.length === 0) return null;
  const last = completed.sort().at(-1);
  const errorMessage = `cancelled too late: ${completed.length} of ${commands.length} commands had completed${last ? ` (the last at ${last})` : ''}`;
  return { errorCode: COMMAND_COMPLETED, errorMessage };
}

export function isFinal(action: ActionSummary): boolean {
  return isFinalStatus(action.status);
}

export function isFinalStatus(status: string | null): boolean {
  return status !== null && FINAL_STATUSES.includes(status);
}

/** The outcome of a cancel that was answered with 200. */
export function outcomeOf(action: Action): Outcome {
  if (wasStopped(seenOf(action))) return 'cancelled';
  return isFinal(action.summary) ? 'already_final' : 'accepted';
}

/**
 * Judges an answer to cancel or Get. By status first; a refusal is a verdict only with the API's own error object, for
 * routers, gateways and proxies answer with the same statuses.
 *
 * @param id lower-case GUID that was asked for.
 * @param nowWall ms since 1970, to read a Retry-After that is a date.
 */
export function classify(answer: HttpAnswer | NoAnswer, id: string, nowWall: number): Meaning {
  if (answer.kind !== 'answer') {
    const detail = {
      errorCode: bounded(answer.code) ?? 'NETWORK',
      errorMessage: said(answer.message) ?? '',
    };
    return { kind: 'fault', lost: answer.kind === 'lost', detail };
  }
  const body = parseJson(answer.body);
  const detail = { httpStatus: answer.status, ...errorDetail(body) };
  const { status } = answer;
  const namedMs = retryAfter(answer, detail.errorMessage, nowWall);
  if (status === 429) return { kind: 'throttled', retryAfterMs: namedMs ?? DEFAULT_RETRY_MS, detail };
  if (status === 401) return { kind: 'unauthorized', detail };
  if (status === 200) return readSuccess(body, answer, id);
  if (status < 400 || status === 407 || status === 408 || status >= 500) {
    // Whoever gave up waiting, or took the call to do it later, may have handed it on.
    const lost = status < 300 || status === 408 || status >= 500;
    const named = namedMs !== null && { retryAfterMs: namedMs };
    return { kind: 'fault', lost, ...named, detail: { ...detail, ...unread(body, answer) } };
  }
  if (detail.errorCode === undefined) return unexplained(body, answer, detail);
  if (PASSING.includes(status)) return { kind: 'inconclusive', lastly: 'rejected', sign: 'alive', detail };
  if (status === 404) return { kind: 'not_found', detail };
  if (status === 403) return { kind: 'forbidden', detail };
  return { kind: status === 400 ? 'bad_request' : 'rejected', detail };
}

const LASTLY: Readonly<Record<number, Lastly>> = { 400: 'check', 403: 'forbidden', 404: 'not_found' };

/**
 * A 4xx without the API's error object. Nobody knows who gave it: the API documents a 404 without a body, and a wrong address
 * answers the same. A page, though, is never the API's: what gave it stands in the way of every call.
 */
function unexplained(body: unknown, answer: HttpAnswer, detail: Detail): Meaning {
  const text = startOf(body, answer);
  return {
    kind: 'inconclusive',
    lastly: LASTLY[answer.status] ?? 'rejected',
    sign: body === undefined && text ? 'fault' : 'none',
    detail: {
      ...detail,
      errorCode: NO_REASON,
      errorMessage: `the API gave no reason${text ? `; the answer was: ${text}` : ''}`,
    },
  };
}

/** Longer JSON is shown as it stands: it could also be nested too deeply to be written again. */
const MAX_JSON = 2_000;

/** How an answer begins. In JSON each text is cleaned by itself, for in there a secret may be escaped more than once. */
function startOf(body: unknown, { body: text }: HttpAnswer): string {
  if (body === undefined || text.length > MAX_JSON) return foreign(text, 80);
  const clean = (_: string, value: unknown) => (typeof value === 'string' ? foreign(value, 80) : value);
  return foreign(JSON.stringify(body, clean), 80);
}

/** An exponential backoff with full jitter in its upper half. `attempts` made so far, from 1. */
export function backoff(
  attempts: number,
  random: number,
  { firstRetryMs, lastRetryMs }: Pick<Timings, 'firstRetryMs' | 'lastRetryMs'>,
): number {
  const ceiling = Math.min(lastRetryMs, firstRetryMs * 2 ** (attempts - 1));
  return ceiling / 2 + (random * ceiling) / 2;
}

function readSuccess(body: unknown, answer: HttpAnswer, id: string): Meaning {
  const action = readAction(body);
  if (!action || action.id !== id) {
    const detail = {
      httpStatus: 200,
      errorCode: 'UNREADABLE',
      errorMessage: 'the answer is not this machine action',
    };
    return { kind: 'fault', lost: true, detail: { ...detail, ...unread(body, answer) } };
  }
  return { kind: 'action', action, detail: { httpStatus: 200, ...seenOf(action) } };
}

/** What to say of an answer that is not the API's. */
function unread(body: unknown, answer: HttpAnswer): Detail {
  if (body !== undefined) return {};
  const start = foreign(answer.body, 80);
  return { errorCode: 'UNREADABLE', errorMessage: start ? `not JSON: ${start}` : 'empty answer' };
}

function errorDetail(body: unknown): Pick<Detail, 'errorCode' | 'errorMessage' | 'correlationId'> {
  const parsed = errorSchema.safeParse(body);
  if (!parsed.success) return {};
  const { code, message, target } = parsed.data.error;
  return {
    ...(code && { errorCode: bounded(code) ?? '' }),
    ...(message && { errorMessage: said(message) ?? '' }),
    ...(target && { correlationId: bounded(target) ?? '' }),
  };
}

/** JSON, with or without a byte-order mark; undefined where it is none. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body.startsWith('\ufeff') ? body.slice(1) : body);
  } catch {
    return undefined;
  }
}

/** Words of whoever answered, to be kept and shown: some gateways repeat what they were sent, the token with it. */
function said(text: string): string | undefined {
  return text ? foreign(text, MAX_TEXT) : undefined;
}

/** A word for programs, such as a status or a code: as it stands, for what only looks like one is another. */
function bounded(value: string | null | undefined): string | undefined {
  return value ? excerpt(value, MAX_TEXT) : undefined;
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?$/;

/** A time in ISO 8601, which is UTC where it names no zone. Date.parse alone makes a date of nearly anything. */
function time(value: string | null | undefined): string | null {
  const [iso, , , zone = 'Z'] = ISO_TIME.exec(value ?? '') ?? [];
  const ms = iso ? Date.parse(iso.endsWith(zone) ? iso : iso + zone) : Number.NaN;
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}
