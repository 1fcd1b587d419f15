import { type Tenant, withTenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import { OUTCOMES, type Outcome } from '../base/outcome.ts';
import { campaignIn, titled } from '../base/words/name.ts';
import { plural } from '../base/words/number.ts';
import {
  askAbort,
  describeReprioritized,
  describeRetried,
  describeSteered,
  namedCampaigns,
} from '../files/words/campaign.ts';
import { followersOf, forgetCampaign, waitingOn } from '../store/campaign/forget.ts';
import { findCampaign } from '../store/campaign/registry.ts';
import { lookAtCampaign, mayBeSteered } from '../store/campaign/status.ts';
import { leftToOthers, prioritize, retryCampaign, type Steered, steer } from '../store/campaign/steer.ts';
import { URGENT } from '../store/ledger/place.ts';
import { actorOf } from './actor.ts';
import { type Asking, confirm } from './confirm.ts';
import { type CommandContext, EXIT, writeJson, writeText } from './context.ts';

export interface SteerOptions {
  campaign: string;
  json: boolean;
}

/** Pauses or resumes a campaign. */
export function runSteer(
  context: CommandContext,
  steering: 'pause' | 'resume',
  options: SteerOptions & { acceptRefusals?: boolean },
): Promise<number> {
  return withTenant(context, async (tenant) => {
    const steered = await steer(tenant, options.campaign, steering, actorOf(context.args), options);
    await tellSteered(context, tenant, options, steered);
    return EXIT.done;
  });
}

/** Ends a campaign: what has not been called ends as withdrawn, here and now, whether a worker runs or not. */
export function runAbort(context: CommandContext, options: SteerOptions & Asking): Promise<number> {
  return withTenant(context, async (tenant) => {
    const look = await lookAtCampaign(tenant, options.campaign);
    const { name, open } = look.campaign;
    const { tracked, state } = look.status;
    const followers = await waitingOn(tenant, look.campaign);
    const abort = `abort ${campaignIn(name, tenant.label)}`;
    const question = askAbort({ name, tenant: tenant.label }, { open, following: tracked.open, followers });
    const isNeeded = state !== 'aborted' && state !== 'expired' && mayBeSteered(look);
    if (isNeeded && !(await confirm(context, options, abort, question))) return leave(context);
    const deps = { ...tenant, signal: context.stop };
    await tellSteered(context, tenant, options, await steer(deps, name, 'abort', actorOf(context.args)));
    return EXIT.done;
  });
}

/** Changes which campaign goes first. */
export function runPriority(
  context: CommandContext,
  options: SteerOptions & { priority: string },
): Promise<number> {
  const priority = parsePriority(options.priority);
  return withTenant(context, async (tenant) => {
    const before = await prioritize(tenant, options.campaign, priority, actorOf(context.args));
    if (priority === URGENT) await (await import('../app/feed.ts')).feedUrgent(tenant, context.log);
    const { campaign } = options;
    if (options.json)
      await writeJson(context.out, { tenant: tenant.label, campaign, priority, before: before.priority });
    else {
      const words = describeReprioritized(priority, before.priority);
      await writeText(context.out, `${titled(campaign, tenant.label)}: ${words}`);
    }
    return EXIT.done;
  });
}

/** @throws StanddownError USAGE */
export function parsePriority(text: string): number {
  if (text === 'urgent') return URGENT;
  if (/^[1-9]$/.test(text)) return Number(text);
  throw new StanddownError(
    'USAGE',
    `invalid priority ${JSON.stringify(text)}: use 1 (first) to 9 (last), or urgent`,
  );
}

/** Forgets a campaign that has ended. */
export function runDelete(
  context: CommandContext,
  options: SteerOptions & Asking & { force: boolean },
): Promise<number> {
  return withTenant(context, async (tenant) => {
    const campaign = await findCampaign(tenant.redis, tenant.keys, options.campaign);
    const { name, open, total } = campaign;
    const title = titled(name, tenant.label);
    if (open > 0) {
      throw new StanddownError(
        'REFUSED',
        `${title} has ${plural(open, 'pending action')}. Abort it before you delete it.`,
      );
    }
    const followers = options.force ? [] : await followersOf(tenant, campaign, 0);
    if (followers.length > 0) {
      const them = followers.length === 1 ? 'it' : 'them';
      const words = `${namedCampaigns(followers.map((follower) => follower.name))} ${followers.length === 1 ? 'follows' : 'follow'} actions owned by ${campaignIn(name, tenant.label)}; ${followers.length === 1 ? 'its report' : 'their reports'} would lose those outcomes. Delete ${them} first, or use --force.`;
      throw new StanddownError('REFUSED', words);
    }
    const what = campaignIn(name, tenant.label);
    const question = `Delete ${what}, with its history and the outcomes of ${plural(total, 'action')}?`;
    if (!(await confirm(context, options, `delete ${what}`, question))) return leave(context);
    if (!(await forgetCampaign(tenant, campaign, Number.MAX_SAFE_INTEGER))) {
      throw new StanddownError(
        'REFUSED',
        `${title} was given new actions in the meantime. Nothing was deleted.`,
      );
    }
    if (options.json) await writeJson(context.out, { tenant: tenant.label, campaign: name, deleted: true });
    else await writeText(context.out, `${title}: deleted`);
    return EXIT.done;
  });
}

/** A cancel of these was accepted, or came too late. */
const SETTLED: ReadonlySet<Outcome> = new Set(['cancelled', 'accepted', 'already_final']);

/** Opens actions again that ended with one of these outcomes. */
export function runRetry(
  context: CommandContext,
  options: SteerOptions & Asking & { outcome: string },
): Promise<number> {
  const outcomes = parseOutcomes(options.outcome);
  return withTenant(context, async (tenant) => {
    const settled = outcomes.filter((outcome) => SETTLED.has(outcome));
    const retry = `retry ${settled.join(' and ')} actions of ${campaignIn(options.campaign, tenant.label)}`;
    const question = `R${retry.slice(1)}? They have nothing left to cancel, and reports will show the new outcome instead.`;
    if (settled.length > 0 && !(await confirm(context, options, retry, question))) return leave(context);
    const { status: found } = await lookAtCampaign(tenant, options.campaign);
    const reopened = await retryCampaign(tenant, options.campaign, outcomes, actorOf(context.args));
    const others = leftToOthers(found, outcomes, reopened);
    const title = titled(options.campaign, tenant.label);
    if (options.json)
      await writeJson(context.out, { tenant: tenant.label, campaign: options.campaign, reopened });
    else await writeText(context.out, `${title}: ${describeRetried(reopened, others)}`);
    return EXIT.done;
  });
}

function leave(context: CommandContext): number {
  context.out.note('Nothing was changed.');
  return EXIT.declined;
}

async function tellSteered(
  { out }: CommandContext,
  { label }: Tenant,
  { campaign, json }: SteerOptions,
  steered: Steered,
): Promise<void> {
  const { state, changed } = steered;
  if (json) await writeJson(out, { tenant: label, campaign, state, changed });
  else await writeText(out, `${titled(campaign, label)}: ${describeSteered(steered, Date.now())}`);
}

function parseOutcomes(text: string): Outcome[] {
  return text.split(',').map((part) => {
    const outcome = OUTCOMES.find((candidate) => candidate === part.trim());
    if (outcome) return outcome;
    throw new StanddownError(
      'USAGE',
      `--outcome: unknown outcome ${JSON.stringify(part.trim())} (use ${OUTCOMES.join(', ')})`,
    );
  });
}
