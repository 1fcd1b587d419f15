/**
 * What a program needs to put cancels into Standdown's lanes and to read what became of them. Nothing here connects to
 * anything.
 */
import type { z } from 'zod';
import type { jobDataSchema } from './job.ts';
import { keysFor } from './keys.ts';

export { type ErrorCode, StanddownError } from './errors.ts';
export { JOB_NAME } from './keys.ts';
export { type ActionSummary, type CancelResult, OUTCOMES, type Outcome } from './outcome.ts';

/** The queues that services may put jobs into. */
export type PublicLane = 'cancel' | 'cancel-urgent';

/** The data of a job in a public lane. Times as ISO 8601 or ms since 1970. */
export type CancelJob = z.input<typeof jobDataSchema>;

/**
 * BullMQ's `prefix` option for a tenant's lanes.
 *
 * @param tenant its label: STANDDOWN_TENANT of its workers, by default the tenant id in lower case.
 */
export function prefixFor(tenant: string): string {
  return keysFor(tenant).prefix;
}
