import { z } from 'zod';
import type { ActionSummary, CancelResult } from '../base/outcome.ts';

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
    .describe('In lower case; for an invalid job as it was written, at most 100 characters'),
  outcome: z.string().min(1),
  httpStatus: z
    .number()
    .int()
    .exactOptional()
    .describe('HTTP status of the answer that determined the outcome'),
  errorCode: z
    .string()
    .exactOptional()
    .describe('Code from Defender, from the network, or from Standdown, such as NO_REASON'),
  errorMessage: z
    .string()
    .exactOptional()
    .describe('Message from Defender, or the mistake in an invalid job'),
  correlationId: z.string().exactOptional().describe('error.target from Defender, for a support case'),
  action: actionSchema.exactOptional().describe('The machine action as last seen'),
  attempts: z.number().int().min(0).describe('Calls that counted as attempts'),
  uncertain: z
    .boolean()
    .describe(
      'An earlier call may have succeeded although its answer was lost, so Standdown may have caused this outcome',
    ),
  campaign: z
    .string()
    .describe('Campaign that owns the action: direct-YYYY-MM-DD of the day, or a named one'),
  requestedBy: z.string().exactOptional(),
  requestedAt: time,
  decidedAt: time,
  verifiedAt: time.exactOptional().describe('When `action` was last verified'),
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
