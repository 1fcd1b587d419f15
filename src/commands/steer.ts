import { withTenant } from '../app.ts';
import { retryCampaign, steer } from '../campaign/steer.ts';
import { StanddownError } from '../errors.ts';
import { OUTCOMES, type Outcome } from '../outcome.ts';
import { type CommandContext, EXIT, writeJson } from './context.ts';
import { count } from './table.ts';

export interface SteerOptions {
  campaign: string;
  json: boolean;
}

const DONE = { pause: 'paused', resume: 'running', abort: 'aborted' } as const;

/** Pauses, resumes or aborts a campaign. */
export function runSteer(
  context: CommandContext,
  steering: keyof typeof DONE,
  options: SteerOptions,
): Promise<number> {
  return withTenant(context, async (tenant) => {
    const before = await steer(tenant, options.campaign, steering);
    const state = DONE[steering];
    const isNew = before.state !== state;
    if (options.json) await writeJson(context.out, { campaign: options.campaign, state, changed: isNew });
    else await context.out.write(`${options.campaign}: ${isNew ? state : `was ${state} already`}\n`);
    return EXIT.done;
  });
}

/** Opens ids again that ended in one of these ways. */
export function runRetry(
  context: CommandContext,
  options: SteerOptions & { outcome: string },
): Promise<number> {
  const outcomes = parseOutcomes(options.outcome);
  return withTenant(context, async (tenant) => {
    const reopened = await retryCampaign(tenant, options.campaign, outcomes);
    if (options.json) await writeJson(context.out, { campaign: options.campaign, reopened });
    else await context.out.write(`${options.campaign}: ${count(reopened)} opened again\n`);
    return EXIT.done;
  });
}

function parseOutcomes(text: string): Outcome[] {
  return text.split(',').map((part) => {
    const outcome = OUTCOMES.find((candidate) => candidate === part.trim());
    if (outcome) return outcome;
    throw new StanddownError('USAGE', `--outcome: "${part.trim()}" is none of ${OUTCOMES.join(', ')}`);
  });
}
