import { z } from 'zod';
import { excerpt, foreign } from '../foreign.ts';
import type { ActionSummary, Detail, Outcome } from '../outcome.ts';
import type { Timings } from '../timings.ts';
import type { HttpAnswer, NoAnswer } from './exchange.ts';
import { retryAfter } from './retry-after.ts';

/** What an answer means for a request. */
export type Meaning =
  /** 200 with the action. */
  | { kind: 'action'; action: ActionSummary; detail: Detail }
  | { kind: 'not_found' | 'forbidden' | 'rejected'; detail: Detail }
  /** 400: may be final, or may have been ours. */
  | { kind: 'bad_request'; detail: Detail }
  | { kind: 'unauthorized'; detail: Detail }
  | { kind: 'throttled'; retryAfterMs: number; detail: Detail }
  /** Not an answer of the API, or not one to build on. */
  | {
      kind: 'fault';
      lost: boolean;
      /** The wait that the answer names; none: it names none. */
      retryAfterMs?: number;
      detail: Detail;
    };

/** The states from which an action does not change any more. Microsoft's list grows: an unknown one is not final. */
export const FINAL_STATUSES: readonly string[] = ['Succeeded', 'Failed', 'TimeOut', 'Cancelled'];

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
});

const errorSchema = z.object({ error: z.object({ code: text, message: text, target: text }) });

/** A machine action as the API gives it, of which only what is kept was read. */
export interface Action {
  /** Lower case. */
  id: string;
  requestor: string | null;
  summary: ActionSummary;
}

/** Reads a machine action; null when it is none. Its id may be anything: who asked for a list looks at it. */
export function readAction(value: unknown): Action | null {
  const parsed = actionSchema.safeParse(value);
  if (!parsed.success) return null;
  const { id, status, type, machineId, computerDnsName, creationDateTimeUtc, lastUpdateDateTimeUtc } =
    parsed.data;
  const requestor = bounded(parsed.data.requestor) ?? null;
  const summary = {
    status: bounded(status) ?? null,
    type: bounded(type) ?? null,
    machineId: bounded(machineId) ?? null,
    computerDnsName: bounded(computerDnsName) ?? null,
    createdAt: time(creationDateTimeUtc),
    updatedAt: time(lastUpdateDateTimeUtc),
  };
  return { id: id.toLowerCase(), requestor, summary };
}

export function isFinal(action: ActionSummary): boolean {
  return isFinalStatus(action.status);
}

export function isFinalStatus(status: string | null): boolean {
  return status !== null && FINAL_STATUSES.includes(status);
}

/** The outcome of a cancel that was answered with 200. */
export function outcomeOf(action: ActionSummary): Outcome {
  if (action.status === 'Cancelled') return 'cancelled';
  return isFinal(action) ? 'already_final' : 'accepted';
}

/**
 * Judges an answer to cancel or Get. By status first; a body that is not the API's (a gateway's page, a cut-off text)
 * makes it a fault, for then something else answered.
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
  if (status >= 500)
    return {
      kind: 'fault',
      lost: detail.errorCode === undefined,
      ...(namedMs !== null && { retryAfterMs: namedMs }),
      detail: { ...detail, ...unread(body, answer) },
    };
  if (status === 200) return readSuccess(body, answer, id);
  const readable = body !== undefined || answer.body.trim() === '';
  if (!readable || status < 400 || status === 407 || status === 408) {
    return { kind: 'fault', lost: false, detail: { ...detail, ...unread(body, answer) } };
  }
  if (status === 404) return { kind: 'not_found', detail };
  if (status === 403) return { kind: 'forbidden', detail };
  return { kind: status === 400 ? 'bad_request' : 'rejected', detail };
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
  return { kind: 'action', action: action.summary, detail: { httpStatus: 200, action: action.summary } };
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

function time(value: string | null | undefined): string | null {
  const ms = value ? Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(value) ? value : `${value}Z`) : Number.NaN;
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}
