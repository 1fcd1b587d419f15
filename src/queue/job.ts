import { z } from 'zod';
import { excerpt, foreign } from '../base/foreign.ts';
import { parseGuid } from '../base/guid.ts';
import { MAX_COMMENT_LENGTH } from '../store/keys.ts';
import type { CancelJob } from './contract.ts';

const text = (max: number) => z.string().trim().min(1).max(max);

const machineActionId = z
  .string()
  .max(200)
  .transform((value, context) => {
    const guid = parseGuid(value);
    if (guid === null) context.addIssue({ code: 'custom', message: 'not a GUID' });
    return guid ?? '';
  });

const time = z
  .union([z.iso.datetime({ offset: true }), z.number().int().positive()])
  .transform((value) => new Date(value).getTime())
  .refine((ms) => Number.isSafeInteger(ms) && ms < 8.64e15, 'not a valid time');

/**
 * What a job in `cancel` or `cancel-urgent` holds: the contract with every service that asks for a single cancel.
 * Unknown fields are ignored, so that a newer producer's jobs are still understood.
 */
export const jobDataSchema = z.object({
  v: z.literal(1).default(1),
  machineActionId,
  comment: z.preprocess((value) => (isBlank(value) ? undefined : value), text(MAX_COMMENT_LENGTH).optional()),
  requestedBy: text(200)
    .transform((by) => excerpt(by, 200))
    .nullish(),
  expiresAt: time.nullish(),
  again: z.boolean().nullish(),
});

/** A wish to have one machine action cancelled, checked. */
export interface Request {
  /** Lower-case GUID. */
  machineActionId: string;
  comment: string;
  requestedBy: string | null;
  /** Milliseconds since 1970; null: never. */
  expiresAt: number | null;
  /** Whether an outcome that exists already is to be followed by another call. */
  again: boolean;
}

export type ParsedJob =
  | { ok: true; request: Request }
  | { ok: false; machineActionId: string; reason: string };

export interface JobDefaults {
  /** Used where a job brings no comment or an empty one; null: such a job is invalid. */
  comment: string | null;
}

/** Reads a job that some service wrote. Never throws: bad data is an answer, with the reason in words. */
export function parseJob(name: unknown, data: unknown, defaults: JobDefaults): ParsedJob {
  const parsed = jobDataSchema.safeParse(data);
  const named = quotedId(data);
  if (name !== 'cancel')
    return {
      ok: false,
      machineActionId: named,
      reason: `the job name is ${quote(name)}; it must be "cancel"`,
    };
  if (!parsed.success) return { ok: false, machineActionId: named, reason: describe(parsed.error) };
  const { machineActionId: id, comment, requestedBy, expiresAt, again } = parsed.data;
  const words = comment ?? defaults.comment;
  if (words === null) {
    return {
      ok: false,
      machineActionId: id,
      reason: 'comment: required, because DEFAULT_COMMENT is not set',
    };
  }
  return {
    ok: true,
    request: {
      machineActionId: id,
      comment: words,
      requestedBy: requestedBy ?? null,
      expiresAt: expiresAt ?? null,
      again: again ?? false,
    },
  };
}

/** The data of a job that asks for this: the reverse of `parseJob`, without what is null or false. */
export function jobData(request: Request): CancelJob {
  const { machineActionId, comment, requestedBy, expiresAt, again } = request;
  return {
    v: 1,
    machineActionId,
    comment,
    ...(requestedBy !== null && { requestedBy }),
    ...(expiresAt !== null && { expiresAt }),
    ...(again && { again }),
  };
}

function isBlank(value: unknown): boolean {
  return value === null || (typeof value === 'string' && value.trim() === '');
}

function describe(error: z.ZodError): string {
  const words = error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.map(String).join('.') || 'data'}: ${issue.message}`);
  return foreign(words.join('; '), 500);
}

/** The id as the job spelled it, bounded, for a result that can name nothing better. */
export function quotedId(data: unknown): string {
  if (typeof data !== 'object' || data === null) return '';
  const value: unknown = Reflect.get(data, 'machineActionId');
  return typeof value === 'string' ? (parseGuid(value) ?? excerpt(value, 100)) : '';
}

/** A job that another language wrote may have none. */
function quote(value: unknown): string {
  return typeof value === 'string' ? `"${excerpt(value, 60)}"` : 'missing';
}
