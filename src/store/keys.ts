/** An API operation; each has a budget of its own. */
export type Operation = 'cancel' | 'get' | 'list';

export const OPERATIONS: readonly Operation[] = ['cancel', 'get', 'list'];

/** A BullMQ queue. `cancel` and `cancel-urgent` are for other services; only the feeder fills `cancel-campaign`. */
export type LaneName = 'cancel' | 'cancel-urgent' | 'cancel-campaign';

export const LANES: readonly LaneName[] = ['cancel', 'cancel-urgent', 'cancel-campaign'];

/** What the jobs are called that the feeder makes of a campaign's ids: its number, which feeding, and which of it. */
export const FED_JOB_ID = /^\d+-[0-9a-f]{8}-\d+$/;

/** The only job name in the lanes. */
export const JOB_NAME = 'cancel';

/** The longest comment that is taken, in characters. The API's own limit is not documented; this bounds what sits in Redis. */
export const MAX_COMMENT_LENGTH = 4_000;

export type Keys = ReturnType<typeof keysFor>;

/**
 * Every key Standdown uses in Redis, BullMQ's included. The hash tag keeps a tenant in one cluster slot, so that a
 * script may touch all of them.
 *
 * @param tenant label of the tenant: letters, digits, `.`, `_` and `-`.
 */
export function keysFor(tenant: string) {
  const prefix = `{standdown:${tenant}}`;
  const campaign = (number: number) => `${prefix}:campaign:${number}`;
  return {
    tenant,
    /** BullMQ's `prefix` option: its keys are `<prefix>:<lane>:…`. */
    prefix,
    /** Hash: epoch, slot numbers, grace, penalties, upstream holds, number of ledger buckets. */
    state: `${prefix}:state`,
    /** Sorted set: slot number by stamp, in ms since 1970 with fractions. */
    slots: (operation: Operation) => `${prefix}:slots:${operation}`,
    /** Hash: what a hold is about, in words, by reason. */
    holds: `${prefix}:holds`,
    /** Hash: by its id, when each worker last looked (ms by Redis' clock) and what it says of itself (JSON), with a blank between. */
    workers: `${prefix}:workers`,
    /** Hash: packed record by the action's 16 bytes. */
    bucket: (index: number) => `${prefix}:ledger:${index}`,
    /** What every bucket's key starts with. */
    bucketPrefix: `${prefix}:ledger:`,
    /**
     * Hash, as JSON, by the action's 16 bytes: the 400 that put a record into `checking`; or who asked for a single cancel
     * that expires.
     */
    checking: `${prefix}:checking`,
    /** Sorted set: by the time it expires, in ms: a service's wish (the action's 16 bytes) or a campaign (`c` and number). */
    expiries: `${prefix}:expiries`,
    /** Hash: campaign number by name. */
    campaigns: `${prefix}:campaigns`,
    /** Sorted set: campaigns with ids to feed, by priority, then number. */
    running: `${prefix}:running`,
    /** Set: aborted and expired campaigns whose open ids are being swept. */
    ending: `${prefix}:ending`,
    /** Hash: one campaign's facts and counters. */
    campaign,
    /** List: the campaign's ids in order, 16 bytes each. */
    ids: (number: number) => `${campaign(number)}:ids`,
    /** Set: those of its ids that another campaign owns, and that are followed there. */
    elsewhere: (number: number) => `${campaign(number)}:elsewhere`,
    /** Hash: by the action's 16 bytes, the packed record of each of its ids that ended here and that another campaign opened again. */
    kept: (number: number) => `${campaign(number)}:kept`,
    /** Stream: the campaign's outcomes in the order of their decision; entry `<position>-0`. */
    results: (number: number) => `${campaign(number)}:results`,
    /** Hash: by the action's 16 bytes, the calls that decided nothing, a line of JSON each. */
    attempts: (number: number) => `${campaign(number)}:attempts`,
    /** Stream: who submitted, paused, resumed, aborted, retried it. */
    audit: (number: number) => `${campaign(number)}:audit`,
    /** Stream: who only looked (verify, export). Apart, for looking is cheap and must not push out who acted. */
    auditLooks: (number: number) => `${campaign(number)}:audit:looks`,
    /** Stream: which services added ids to it through the inbox. Apart, for they name themselves as they like. */
    auditInbox: (number: number) => `${campaign(number)}:audit:inbox`,
    /** String: who puts campaigns' ids into this lane just now; only saves duplicate work. */
    feeder: (lane: LaneName) => `${prefix}:feeder:${lane}`,
    /** String: who verifies campaigns just now; only saves duplicate work. */
    verifier: `${prefix}:verifier`,
    /** Stream: what services without BullMQ ask for; each entry is removed once it is taken in. */
    inbox: `${prefix}:inbox`,
    /** Stream: the last entries of the inbox that ask for nothing that can be done, and why. */
    rejected: `${prefix}:inbox:rejected`,
    /** Stream: the last outcomes, of all campaigns. */
    outcomes: `${prefix}:outcomes`,
    /** String, JSON: what became of an id that came through the inbox; for a day. */
    outcome: (guid: string) => `${prefix}:outcome:${guid}`,
    /** Hash: since when notices are wanted, and something holds. */
    notices: `${prefix}:notices`,
    /** Sorted set: notices that wait to be sent, by the time of their next try, in ms. */
    noticesDue: `${prefix}:notices:due`,
    /** Hash: those notices by their id, as JSON, and how often each was tried, by id and `#`. */
    outbox: `${prefix}:notices:outbox`,
    /** BullMQ's own key of a lane. */
    lane: (lane: LaneName, suffix: string) => `${prefix}:${lane}:${suffix}`,
  };
}
