import { z } from 'zod';
import { systemClock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';
import { jobDataSchema } from '../queue/job.ts';
import type { NewCampaign } from '../store/campaign/registry.ts';
import { checkWanted } from '../store/campaign/submit.ts';
import { URGENT } from '../store/ledger/place.ts';
import { withPlainTime } from './request.ts';
import { checkWait } from './waiting.ts';

/** A campaign to put ids into. One that exists keeps its comment, priority and expiry. */
export interface CampaignRequest {
  /** Its name: 1 to 100 characters, not beginning with `direct-`. */
  campaign: string;
  /** 1 to 4,000 characters, sent to Defender with each id. */
  comment: string;
  /**
   * 1 (first) to 9 (last), or `urgent`: before all of them, with the slots that are kept for such, and also for ids that wait in
   * another campaign. Default 5.
   */
  priority?: number | 'urgent' | undefined;
  /**
   * What is not called by then ends as `expired`: a Date, ISO 8601 with an offset, or ms since 1970. One that has passed already
   * opens no campaign. Default: never.
   */
  expiresAt?: Date | string | number | null | undefined;
  /** Who wants it, for reports and history; at most 200 characters. */
  requestedBy?: string | null | undefined;
  /** About how many ids will come, where that is known: saves time. A hint only, of which no more than 1,000,000 counts. */
  expected?: number | undefined;
  /** Ends it, with its reason: no further id is taken or sent. What was submitted stays. */
  signal?: AbortSignal | undefined;
}

const { comment, requestedBy, expiresAt } = jobDataSchema.shape;
const priority = z
  .literal(['urgent', 1, 2, 3, 4, 5, 6, 7, 8, 9], 'must be "urgent" or a whole number from 1 to 9')
  .transform((wanted) => (wanted === 'urgent' ? URGENT : wanted));
const campaignSchema = z.object({
  campaign: z.string(),
  comment,
  requestedBy,
  expiresAt,
  priority: priority.optional(),
  expected: z.number().int().min(0).optional(),
});

/** @throws StanddownError INPUT_INVALID; USAGE for a bad name, a missing comment or what is no signal. */
export function checkCampaign(request: CampaignRequest) {
  const parsed = campaignSchema.safeParse(withPlainTime(request));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalidCampaign(`${issue?.path.join('.') || 'campaign'}: ${issue?.message}`);
  }
  const { campaign, expected = 0, ...given } = parsed.data;
  const by = given.requestedBy ?? null;
  const wanted: NewCampaign = {
    name: campaign,
    comment: given.comment ?? '',
    requestedBy: by,
    expiresAt: given.expiresAt ?? null,
    now: systemClock.wall(),
    ...(given.priority !== undefined && { priority: given.priority }),
  };
  checkWanted(wanted);
  checkWait({ signal: request.signal });
  return { wanted, expected, actor: { by: by ?? 'a producer', command: 'producer.submit' } };
}

export function invalidCampaign(reason: string): StanddownError {
  return new StanddownError('INPUT_INVALID', `invalid campaign: ${reason}`);
}
