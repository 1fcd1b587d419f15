import { z } from 'zod';
import type { ActionSummary, CancelResult } from './outcome.ts';

const time = z.iso.datetime().describe('ISO 8601 in UTC');
const known = z.string().nullable();

const actionSchema = z.object({
  status: known,
  type: known,
  machineId: known,
  computerDnsName: known,
  createdAt: known.describe('ISO 8601 in UTC'),
  updatedAt: known.describe('ISO 8601 in UTC'),
}) satisfies z.ZodType<ActionSummary>;

/**
 * A job's return value, as a reader should take it: more fields, and outcomes that this version does not know, may come
 * from a later one.
 */
export const cancelResultSchema = z.object({
  machineActionId: z
    .string()
    .describe('Lower case; of an invalid job as it was written, cut to 100 characters'),
  outcome: z.string().min(1),
  httpStatus: z.number().int().exactOptional().describe('Of the answer that decided'),
  errorCode: z
    .string()
    .exactOptional()
    .describe("Defender's code, that of the network error, or Standdown's own, such as NO_REASON"),
  errorMessage: z.string().exactOptional().describe("Defender's words, or what is wrong with an invalid job"),
  correlationId: z.string().exactOptional().describe("Defender's error.target, for a support case"),
  action: actionSchema.exactOptional().describe('The machine action as last seen'),
  attempts: z.number().int().min(0).describe('Calls that counted as an attempt'),
  uncertain: z
    .boolean()
    .describe("A call for it may have worked without saying so: this outcome may be Standdown's own doing"),
  campaign: z.string().describe("That owns the id: the day's direct-YYYY-MM-DD, or a named one"),
  requestedBy: z.string().exactOptional(),
  requestedAt: time,
  decidedAt: time,
  verifiedAt: time.exactOptional().describe('When `action` was read again afterwards'),
}) satisfies z.ZodType<Omit<CancelResult, 'outcome'> & { outcome: string }>;

/**
 * Null where it is none. Whatever else is in it stays; so does an outcome that this version does not know: readers take it
 * for not stopped.
 */
export function readResult(json: string | null): CancelResult | null {
  const value = parseJson(json);
  return cancelResultSchema.safeParse(value).success ? (value as CancelResult) : null;
}

function parseJson(json: string | null): unknown {
  try {
    return JSON.parse(json ?? 'null');
  } catch {
    return null;
  }
}
