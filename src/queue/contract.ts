import { keysFor } from '../store/keys.ts';

/** The queues that services may put jobs into. */
export type PublicLane = 'cancel' | 'cancel-urgent';

export const PUBLIC_LANES: readonly PublicLane[] = ['cancel', 'cancel-urgent'];

/** The data of a job in a public lane. Unknown fields are ignored. */
export interface CancelJob {
  v?: 1;
  /** A GUID in any case, with or without braces. */
  machineActionId: string;
  /** At most 4,000 characters. Required unless the workers have a DEFAULT_COMMENT. */
  comment?: string;
  /** Who wants it, for the report; at most 200 characters. */
  requestedBy?: string | null;
  /** ISO 8601 with an offset, or ms since 1970: what is not called by then ends as `expired`. Default: never. */
  expiresAt?: string | number | null;
  /** Call again even if there is an outcome already. Default false. */
  again?: boolean | null;
}

/**
 * BullMQ's `prefix` option for a tenant's lanes.
 *
 * @param tenant its label: STANDDOWN_TENANT of its workers, by default the tenant id in lower case.
 */
export function prefixFor(tenant: string): string {
  return keysFor(tenant).prefix;
}
