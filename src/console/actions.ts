import type { Tenant } from '../app.ts';
import { type Actor, appendAudit } from '../campaign/audit.ts';
import type { Campaign } from '../campaign/registry.ts';
import { type CampaignLook, lookAt, mayBeSteered } from '../campaign/status.ts';
import {
  leftToOthers,
  prioritize,
  retryCampaign,
  type Steered,
  type SteerOptions,
  steer,
} from '../campaign/steer.ts';
import { createSweep } from '../campaign/sweep.ts';
import { type VerifyCount, verifyCampaign } from '../campaign/verify.ts';
import type { Config } from '../config.ts';
import type { Reader } from '../defender/reader.ts';
import { StanddownError } from '../errors.ts';
import { describePriority, URGENT } from '../ledger/place.ts';
import type { Logger } from '../log.ts';
import { OUTCOMES, type Outcome } from '../outcome.ts';
import { type Html, html } from '../report/html.ts';
import { mark } from '../report/summary.ts';
import { describeFinished, describeGoingOn, describeLeft, NOTHING_TO_VERIFY } from '../words/campaign.ts';
import { count, plural } from '../words/number.ts';
import { sendReport } from './export.ts';
import { findByNumber, taskKey } from './find.ts';
import { campaignPath } from './parts.ts';
import type { Role } from './session.ts';
import type { Site, Visit } from './site.ts';
import type { Tasks } from './tasks.ts';
import { trailTo } from './tenant-page.ts';
import type { Directory, ShownTenant } from './tenants.ts';
import { formKeyField, type View } from './view.ts';

export interface ActionsDeps {
  directory: Directory;
  tasks: Tasks;
  log: Logger;
  /** Ms since 1970. */
  wall(): number;
  /** Standdown's own. */
  version: string;
  /** Aborted when the console stops. */
  stop: AbortSignal;
  /** Runs something that reads a tenant's machine actions; told what it waits for. */
  withReader<T>(
    config: Config,
    tenant: Tenant,
    onWait: (words: string) => void,
    run: (reader: Reader) => Promise<T>,
  ): Promise<T>;
  /** Hands out the first ids of urgent campaigns. */
  feedUrgent(tenant: Tenant): Promise<void>;
}

/** What is done, to what, by whom. */
interface Doing extends ActionsDeps {
  shown: ShownTenant;
  campaign: Campaign;
  actor: Actor;
  fields: URLSearchParams;
  tell(words: string): void;
}

interface Asked {
  title: string;
  /** Who may. */
  role: Role;
  /** Whether it makes sense for a campaign as it is. */
  fits(look: CampaignLook): boolean;
  question(look: CampaignLook): string;
  /** What else is asked. */
  fields?(campaign: Campaign): Html;
  /** Whether it takes away what cannot be brought back. */
  grave?: boolean;
}

type Action = Asked &
  (
    | {
        /** Does it, and says what came of it. */
        run(doing: Doing): Promise<string>;
      }
    | {
        /** Answers the form itself. */
        answer(doing: Omit<Doing, 'tell'>, visit: Visit): Promise<null>;
      }
  );

const isOpen = ({ state }: Campaign) => state === 'running' || state === 'paused';

/** What can be done to a campaign. Each asks first, is noted in its history, and shows what came of it. */
export const ACTIONS = {
  pause: {
    title: 'Pause',
    role: 'act',
    fits: (look) => look.campaign.state === 'running' && mayBeSteered(look),
    question: ({ campaign: { name } }) =>
      `Stop calling for ${name}? What is being called is finished. It can be resumed.`,
    run: async (doing) => describeState('paused', await steerIt(doing, 'pause'), 'pause'),
  },
  resume: {
    title: 'Resume',
    role: 'act',
    fits: ({ campaign }) => campaign.state === 'paused',
    question: ({ campaign: { name, open, pausedReason } }) =>
      `Go on with ${name}? ${plural(open, 'id')} will be called.${pausedReason ? ' One goes first: if it gets the same answer, the campaign is paused again.' : ''}`,
    fields: ({ pausedReason }) =>
      pausedReason
        ? html`<div><label><input type="checkbox" name="acceptRefusals" value="1">Accept refusals: call all of them, and never pause this campaign again because of refusals</label></div>`
        : html``,
    run: async (doing) => {
      const acceptRefusals = doing.fields.get('acceptRefusals') === '1';
      return describeState('running', await steerIt(doing, 'resume', { acceptRefusals }), 'resume');
    },
  },
  abort: {
    title: 'Abort',
    role: 'act',
    grave: true,
    fits: (look) => isOpen(look.campaign) && mayBeSteered(look),
    question: ({ campaign: { name, open }, status: { tracked } }) =>
      `End ${name}? ${plural(open, 'open id')} end as withdrawn. To call them after all, submit them under another name.${tracked.open > 0 ? ` ${count(tracked.open)} more go on in the campaigns that own them.` : ''}`,
    run: abort,
  },
  retry: {
    title: 'Retry',
    role: 'act',
    fits: ({ campaign }) => isOpen(campaign) && campaign.total > campaign.open,
    question: ({ campaign: { name } }) => `Call ids of ${name} again that ended in these ways?`,
    fields: retryFields,
    run: retry,
  },
  priority: {
    title: 'Priority',
    role: 'act',
    fits: ({ campaign }) => isOpen(campaign) && campaign.open > 0,
    question: ({ campaign: { name, priority } }) =>
      `Change which campaign goes first? ${name} has priority ${describePriority(priority)}.`,
    fields: priorityFields,
    run: changePriority,
  },
  verify: {
    title: 'Verify',
    role: 'act',
    fits: ({ campaign: { total, open } }) => total > open,
    question: ({ campaign: { name } }) =>
      `Read what became of each action of ${name} that was called? It takes calls of the list's own budget, none of the cancels'.`,
    run: verify,
  },
  export: {
    title: 'Export',
    role: 'read',
    fits: () => true,
    question: ({ campaign: { name } }) => `Download what became of each id of ${name}?`,
    fields: () =>
      html`<div><label for="format">Format</label><select id="format" name="format"><option value="csv">CSV, for a spreadsheet</option><option value="jsonl">JSONL, for a program</option><option value="html">HTML, one page for people</option></select></div>`,
    answer: ({ shown, ...doing }, visit) => sendReport({ ...doing, ...shown }, visit),
  },
} as const satisfies Record<string, Action>;

export type ActionName = keyof typeof ACTIONS;

export function addActions(site: Site, deps: ActionsDeps): void {
  for (const name of Object.keys(ACTIONS) as ActionName[]) {
    const action: Action = ACTIONS[name];
    const path = `/t/:tenant/c/:number/${name}`;
    site.view(path, async (visit) => {
      const { shown, campaign } = await find(deps, visit);
      return askFirst(shown, await lookAt(shown.tenant, campaign), action, visit);
    });
    site.form(path, action.role, async (visit) => {
      const { shown, campaign } = await find(deps, visit);
      assertSame(campaign, visit.fields);
      const actor = { by: visit.viewer.name, command: `console: ${name} ${campaign.name}` };
      const doing = { ...deps, shown, campaign, actor, fields: visit.fields };
      if ('answer' in action) return action.answer(doing, visit);
      const { label } = shown;
      const work = (tell: (words: string) => void) => action.run({ ...doing, tell });
      await deps.tasks.run(taskKey(label, campaign.number), { what: action.title, by: actor.by }, work);
      shown.forget();
      return campaignPath(label, campaign.number);
    });
  }
}

async function find({ directory }: ActionsDeps, { params }: Visit) {
  const shown = directory.find(params['tenant'] ?? '');
  return { shown, campaign: await findByNumber(shown.tenant, params['number']) };
}

/** The page may be of before: where Redis lost its data, another campaign may have the number. */
function assertSame({ name }: Campaign, fields: URLSearchParams): void {
  const named = fields.get('named');
  if (named === null || named === name) return;
  throw new StanddownError('CAMPAIGN_UNKNOWN', `this page was about ${JSON.stringify(named)}, which is gone`);
}

function askFirst({ label }: ShownTenant, look: CampaignLook, action: Action, { viewer }: Visit): View {
  const { campaign } = look;
  const back = campaignPath(label, campaign.number);
  const form = html`<form method="post" class="stacked">
${formKeyField(viewer)}
<input type="hidden" name="named" value="${campaign.name}">
${action.fields?.(campaign) ?? ''}
<p class="note">The history of the campaign will show that ${viewer.name} did it.</p>
<div class="actions"><button class="${action.grave ? 'grave' : 'main'}">${action.title}</button> <a class="button" href="${back}">Do nothing</a></div>
</form>`;
  const mayDo = viewer.mayAct || action.role === 'read';
  return {
    title: `${action.title}: ${campaign.name}`,
    trail: trailTo(label, campaign),
    body: html`<section><p class="lead">${action.question(look)}</p>${mayDo ? form : html`<p class="problem">You signed in with the token for reading: it does not allow this.</p>`}</section>`,
  };
}

function steerIt(
  { shown, campaign, actor }: Doing,
  steering: 'pause' | 'resume' | 'abort',
  options: SteerOptions = {},
): Promise<Steered> {
  return steer(shown.tenant, campaign.name, steering, actor, options);
}

function describeState(state: string, before: Steered, steering: string): string {
  if (before.finished !== null) return describeFinished(before.finished, steering, Date.now());
  const words = before.state === state ? `it was ${state} already` : `it is ${state} now`;
  const goingOn = steering === 'resume' ? '' : describeGoingOn(before.following);
  return goingOn === '' ? words : `${words}; ${goingOn}`;
}

/** Any process may sweep, so nothing is left open for want of a worker. */
async function abort(doing: Doing): Promise<string> {
  const { shown, campaign, log, wall, stop } = doing;
  const before = await steerIt(doing, 'abort');
  const sweep = createSweep({ ...shown.tenant, log, wall });
  while (!stop.aborted && (await sweep.endCampaigns()) === 'more');
  const { outcomes } = await findByNumber(shown.tenant, String(campaign.number));
  if (before.finished !== null) return describeFinished(before.finished, 'abort', Date.now());
  return `${describeState('aborted', before, 'abort')}; ${plural(outcomes.withdrawn ?? 0, 'id')} ended as withdrawn`;
}

/** A cancel of these was taken, or comes too late. */
const SETTLED: readonly Outcome[] = ['cancelled', 'accepted', 'already_final'];

function retryFields({ outcomes }: Campaign): Html {
  const boxes = OUTCOMES.filter((outcome) => outcomes[outcome]).map(
    (outcome) =>
      html`<div><label><input type="checkbox" name="outcome" value="${outcome}">${mark(outcome)}${outcome} (${count(outcomes[outcome] ?? 0)})${SETTLED.includes(outcome) ? ': there is nothing left to stop' : ''}</label></div>\n`,
  );
  return html`<fieldset><legend>Ended as</legend>${boxes}</fieldset>`;
}

async function retry({ shown, campaign, actor, fields }: Doing): Promise<string> {
  const outcomes = OUTCOMES.filter((outcome) => fields.getAll('outcome').includes(outcome));
  if (outcomes.length === 0)
    throw new StanddownError('USAGE', 'no outcome was chosen, so nothing was opened again');
  const reopened = await retryCampaign(shown.tenant, campaign.name, outcomes, actor);
  const others = leftToOthers(campaign, outcomes, reopened);
  return `${plural(reopened, 'id')} opened again (${outcomes.join(', ')})${others > 0 ? `; ${describeLeft(others)}` : ''}`;
}

function priorityFields({ priority }: Campaign): Html {
  return html`<div><label for="priority">Priority, 1 goes first</label><select id="priority" name="priority">${priorityOptions(priority)}</select></div>`;
}

/** Everything a priority can be, one of them chosen. */
export function priorityOptions(chosen: number): Html[] {
  return [URGENT, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((value) => {
    const words =
      value === URGENT ? 'urgent: before all others, also with what is kept for urgent ones' : String(value);
    return value === chosen
      ? html`<option value="${value}" selected>${words}</option>`
      : html`<option value="${value}">${words}</option>`;
  });
}

async function changePriority({ shown, campaign, actor, fields, feedUrgent }: Doing): Promise<string> {
  const text = fields.get('priority') ?? '';
  if (!/^\d$/.test(text)) throw new StanddownError('USAGE', 'the priority is urgent, or from 1 to 9');
  const priority = Number(text);
  const before = await prioritize(shown.tenant, campaign.name, priority, actor);
  if (priority === URGENT) await feedUrgent(shown.tenant);
  return `${describePriority(priority)} now, was ${describePriority(before.priority)}`;
}

async function verify({ shown, campaign, actor, tell, withReader, wall }: Doing): Promise<string> {
  const { tenant, config } = shown;
  await appendAudit(tenant, campaign.number, { ...actor, action: 'verify', detail: '' });
  return withReader(config, tenant, tell, async (reader) => {
    const onProgress = (asked: number) => tell(`${count(asked)} asked for so far`);
    return describeVerified(await verifyCampaign({ ...tenant, reader, wall }, campaign, { onProgress }));
  });
}

function describeVerified({ asked, noted, states, absent }: VerifyCount): string {
  if (asked === 0) return NOTHING_TO_VERIFY;
  const seen = [...states].map(([state, number]) => `${state ?? 'unknown'} ${count(number)}`);
  return [
    `${count(asked)} asked for, ${count(noted)} read`,
    ...seen,
    ...(absent > 0 ? [`not listed ${count(absent)}`] : []),
  ].join('; ');
}
