import { type Tenant, withTenant } from '../app.ts';
import { followersOf, forgetCampaign } from '../campaign/forget.ts';
import { type Campaign, findCampaign } from '../campaign/registry.ts';
import { lookAtCampaign, mayBeSteered } from '../campaign/status.ts';
import { leftToOthers, prioritize, retryCampaign, type Steered, steer } from '../campaign/steer.ts';
import { createSweep } from '../campaign/sweep.ts';
import { systemClock } from '../clock.ts';
import { StanddownError } from '../errors.ts';
import { describePriority, URGENT } from '../ledger/place.ts';
import { OUTCOMES, type Outcome } from '../outcome.ts';
import { describeFinished, describeGoingOn, describeLeft } from '../words.ts';
import { actorOf } from './actor.ts';
import { type Asking, confirm } from './confirm.ts';
import { type CommandContext, EXIT, writeJson } from './context.ts';
import { count } from './table.ts';

export interface SteerOptions {
  campaign: string;
  json: boolean;
}

const DONE = { pause: 'paused', resume: 'running' } as const;

/** Pauses or resumes a campaign. */
export function runSteer(
  context: CommandContext,
  steering: keyof typeof DONE,
  options: SteerOptions & { acceptRefusals?: boolean },
): Promise<number> {
  return withTenant(context, async (tenant) => {
    const before = await steer(tenant, options.campaign, steering, actorOf(context.args), options);
    const also = options.acceptRefusals ? '; refusals are accepted' : '';
    await tellState(context, options, before, steering, DONE[steering], also);
    return EXIT.done;
  });
}

/** Ends a campaign: what has not been called ends as withdrawn, here and now, whether a worker runs or not. */
export function runAbort(context: CommandContext, options: SteerOptions & Asking): Promise<number> {
  return withTenant(context, async (tenant) => {
    const look = await lookAtCampaign(tenant, options.campaign);
    const { name, open, state } = look.campaign;
    const { tracked } = look.status;
    const followers = await followersOf(tenant, look.campaign, 0);
    const notes = [
      `${count(open)} open ids end as withdrawn; to call them after all, submit them under another name`,
      describeGoingOn(tracked.open),
      followers.length > 0
        ? `${namesOf(followers)} ${followers.length === 1 ? 'follows' : 'follow'} ids of it`
        : '',
    ];
    const question = `Abort ${name}? ${notes.filter(Boolean).join('. ')}.`;
    const isNeeded = state !== 'aborted' && mayBeSteered(look);
    if (isNeeded && !(await confirm(context, options, question))) return leave(context);
    const before = await steer(tenant, name, 'abort', actorOf(context.args));
    await endOpen(tenant, context);
    await tellState(context, options, before, 'abort', 'aborted');
    return EXIT.done;
  });
}

function namesOf(campaigns: readonly Campaign[]): string {
  return campaigns.map(({ name }) => JSON.stringify(name)).join(', ');
}

/** Any process may sweep; so nothing is left open for want of a worker. Calls in flight are left to theirs. */
async function endOpen(tenant: Tenant, { log, stop }: CommandContext): Promise<void> {
  const sweep = createSweep({ ...tenant, log, wall: systemClock.wall });
  while (!stop.aborted && (await sweep.endCampaigns()) === 'more');
}

/** Changes which campaign goes first. */
export function runPriority(
  context: CommandContext,
  options: SteerOptions & { priority: string },
): Promise<number> {
  const priority = parsePriority(options.priority);
  return withTenant(context, async (tenant) => {
    const before = await prioritize(tenant, options.campaign, priority, actorOf(context.args));
    if (priority === URGENT) await (await import('../app-feed.ts')).feedUrgent(tenant, context.log);
    const { campaign } = options;
    if (options.json) await writeJson(context.out, { campaign, priority, before: before.priority });
    else {
      const [now, was] = [priority, before.priority].map(describePriority);
      await context.out.write(`${campaign}: priority ${now}, was ${was}\n`);
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
    `the priority is from 1 (first) to 9 (last), or urgent, not ${JSON.stringify(text)}`,
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
    if (open > 0) {
      throw new StanddownError('USAGE', `${name} has ${count(open)} open ids; abort it before you delete it`);
    }
    const followers = options.force ? [] : await followersOf(tenant, campaign, 0);
    if (followers.length > 0) {
      const words = `${name} owns ids that are followed by ${namesOf(followers)}: their reports would lose what became of these. Delete ${followers.length === 1 ? 'that' : 'those'} first; or use --force, as where they follow ids of each other`;
      throw new StanddownError('USAGE', words);
    }
    const question = `Delete ${name}, with the outcomes of ${count(total)} ids and its history?`;
    if (!(await confirm(context, options, question))) return leave(context);
    if (!(await forgetCampaign(tenant, campaign, Number.MAX_SAFE_INTEGER))) {
      throw new StanddownError('USAGE', `${name} was given ids meanwhile; nothing was deleted`);
    }
    if (options.json) await writeJson(context.out, { campaign: name, deleted: true });
    else await context.out.write(`${name}: deleted\n`);
    return EXIT.done;
  });
}

/** A cancel of these was taken, or comes too late. */
const SETTLED: ReadonlySet<Outcome> = new Set(['cancelled', 'accepted', 'already_final']);

/** Opens ids again that ended in one of these ways. */
export function runRetry(
  context: CommandContext,
  options: SteerOptions & Asking & { outcome: string },
): Promise<number> {
  const outcomes = parseOutcomes(options.outcome);
  return withTenant(context, async (tenant) => {
    const settled = outcomes.filter((outcome) => SETTLED.has(outcome));
    const question = `Cancel again what is ${settled.join(' or ')}? There is nothing left to stop, and reports will show the later outcome.`;
    if (settled.length > 0 && !(await confirm(context, options, question))) return leave(context);
    const { status: found } = await lookAtCampaign(tenant, options.campaign);
    const reopened = await retryCampaign(tenant, options.campaign, outcomes, actorOf(context.args));
    const others = leftToOthers(found, outcomes, reopened);
    if (options.json) await writeJson(context.out, { campaign: options.campaign, reopened });
    else {
      const also = others > 0 ? `; ${describeLeft(others)}` : '';
      await context.out.write(`${options.campaign}: ${count(reopened)} opened again${also}\n`);
    }
    return EXIT.done;
  });
}

function leave(context: CommandContext): number {
  context.out.note('nothing was changed');
  return EXIT.declined;
}

async function tellState(
  { out }: CommandContext,
  { campaign, json }: SteerOptions,
  before: Steered,
  steering: string,
  state: string,
  also = '',
): Promise<void> {
  if (before.finished !== null) {
    if (json) await writeJson(out, { campaign, state: 'done', changed: false });
    else await out.write(`${campaign}: ${describeFinished(before.finished, steering)}\n`);
    return;
  }
  const changed = before.state !== state;
  const goingOn = steering === 'resume' ? '' : describeGoingOn(before.following);
  if (json) await writeJson(out, { campaign, state, changed });
  else
    await out.write(
      `${campaign}: ${changed ? state : `was ${state} already`}${also}${goingOn && `; ${goingOn}`}\n`,
    );
}

function parseOutcomes(text: string): Outcome[] {
  return text.split(',').map((part) => {
    const outcome = OUTCOMES.find((candidate) => candidate === part.trim());
    if (outcome) return outcome;
    throw new StanddownError('USAGE', `--outcome: "${part.trim()}" is none of ${OUTCOMES.join(', ')}`);
  });
}
