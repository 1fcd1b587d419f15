import './base/needs-node.ts';

export { type ErrorCode, StanddownError } from './base/errors.ts';
export { type ActionSummary, type CancelResult, OUTCOMES, type Outcome } from './base/outcome.ts';
export type { CampaignRequest } from './producer/campaign-request.ts';
export type { CampaignStatus, SubmitSummary } from './producer/campaigns.ts';
export type { Followed, FollowOptions } from './producer/follow.ts';
export type { CancelHandle, JobReference, OutcomeOptions } from './producer/handle.ts';
export {
  type CancelOptions,
  openProducer,
  type Producer,
  type ProducerOptions,
} from './producer/producer.ts';
export type { CancelRequest } from './producer/request.ts';
export type { IdSource } from './producer/source.ts';
/**
 * What a program needs to put cancels into Standdown's lanes and to read what became of them. Importing it connects to
 * nothing, and brings nothing of a worker along.
 */
export { type CancelJob, type PublicLane, prefixFor } from './queue/contract.ts';
export { JOB_NAME } from './store/keys.ts';
