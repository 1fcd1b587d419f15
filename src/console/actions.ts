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
import { verifyCampaign } from '../campaign/verify.ts';
import type { Config } from '../config.ts';
import type { Reader } from '../defender/reader.ts';
import { StanddownError } from '../errors.ts';
import { describePriority, URGENT } from '../ledger/place.ts';
import type { Logger } from '../log.ts';
import { OUTCOMES, type Outcome } from '../outcome.ts';
import { type Html, html } from '../report/html.ts';
import { mark } from '../report/summary.ts';
import {
  askAbort,
  campaignIn,
  describeChecked,
  describeFinished,
  describeGoingOn,
  describeReprioritized,
  describeRetried,
  describeSteered,
  NOTHING_TO_VERIFY,
  outcomeLabel,
  quoted,
} from '../words/campaign.ts';
import { count, plural } from '../words/number.ts';
import { sendReport } from './export.ts';
import { findByNumber, taskKey } from './find.ts';
import { campaignPath } from './parts.ts';
import { READS_ONLY, type Role } from './session.ts';
import { type Site, sendPage, type Visit } from './site.ts';
import type { Tasks } from './tasks.ts';
import { trailTo } from './tenant-page.ts';
import type { Directory, ShownTenant } from './tenants.ts';
import { formKeyField, type View, type Viewer } from './view.ts';

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
  /** Names the campaign with its tenant, and says what the answer changes. */
  question(look: CampaignLook, tenant: string): string;
  /** What else is asked. */
  fields?(campaign: Campaign): Html;
  /** What is wrong with the answers; null: nothing. */
  problem?(fields: URLSearchParams): string | null;
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
    question: ({ campaign: { name, open } }, tenant) =>
      `Pause ${campaignIn(name, tenant)}? Calls in flight are finished. ${plural(open, 'pending action waits', 'pending actions wait')} until the campaign is resumed.`,
    run: async (doing) => describeState('paused', await steerIt(doing, 'pause'), 'pause'),
  },
  resume: {
    title: 'Resume',
    role: 'act',
    fits: ({ campaign }) => campaign.state === 'paused',
    question: ({ campaign: { name, open, pausedReason } }, tenant) =>
      `Resume ${campaignIn(name, tenant)}? Cancels will be sent for ${plural(open, 'pending action')}.${pausedReason ? ' One action goes first: if Defender refuses it in the same way, the campaign is paused again.' : ''}`,
    fields: ({ pausedReason }) =>
      pausedReason
        ? html`<div><label><input type="checkbox" name="acceptRefusals" value="1">Accept refusals: do not try one action first, and never pause this campaign because of refusals again</label></div>`
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
    question: ({ campaign: { name, open }, status: { tracked } }, tenant) =>
      `${askAbort({ name, tenant }, { open, following: tracked.open })} To cancel the pending ones later, submit them to another campaign. Campaigns that follow these actions show them as withdrawn.`,
    run: abort,
  },
  retry: {
    title: 'Retry',
    role: 'act',
    fits: ({ campaign }) => isOpen(campaign) && campaign.total > campaign.open,
    question: ({ campaign: { name } }, tenant) =>
      `Retry actions of ${campaignIn(name, tenant)}? Select the outcomes to retry: actions that ended with them are queued again.`,
    fields: retryFields,
    problem: (fields) => (chosenOutcomes(fields).length > 0 ? null : 'Select at least one outcome.'),
    run: retry,
  },
  priority: {
    title: 'Change priority',
    role: 'act',
    fits: ({ campaign }) => isOpen(campaign) && campaign.open > 0,
    question: ({ campaign: { name, priority } }, tenant) =>
      `Change the priority of ${campaignIn(name, tenant)}? It is ${describePriority(priority)}.`,
    fields: priorityFields,
    problem: (fields) => (/^\d$/.test(fields.get('priority') ?? '') ? null : INVALID_PRIORITY),
    run: changePriority,
  },
  verify: {
    title: 'Verify',
    role: 'act',
    fits: ({ campaign: { total, open } }) => total > open,
    question: ({ campaign: { name } }, tenant) =>
      `Verify ${campaignIn(name, tenant)}? This reads the action status of every action for which a cancel was sent. Reading has a rate limit of its own and does not slow down cancels.`,
    run: verify,
  },
  export: {
    title: 'Export',
    role: 'read',
    fits: () => true,
    question: ({ campaign: { name } }, tenant) =>
      `Export the outcome of every action of ${campaignIn(name, tenant)}?`,
    fields: () =>
      html`<div><label for="format">Format</label><select id="format" name="format"><option value="csv">CSV (for spreadsheets)</option><option value="jsonl">JSONL (for programs)</option><option value="html">HTML (one page, for people)</option></select></div>`,
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
      const problem = action.problem?.(visit.fields) ?? null;
      if (problem !== null) {
        const view = askFirst(shown, await lookAt(shown.tenant, campaign), action, visit, problem);
        sendPage(visit.reply.code(400), view, visit.viewer);
        return null;
      }
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
  throw new StanddownError(
    'CAMPAIGN_UNKNOWN',
    `Campaign ${quoted(named)} no longer exists. Nothing was changed.`,
  );
}

function askFirst(
  { label }: ShownTenant,
  look: CampaignLook,
  action: Action,
  { viewer }: Visit,
  problem = '',
): View {
  const { campaign } = look;
  const { name } = campaign;
  const back = campaignPath(label, campaign.number);
  const form = html`<form method="post" class="stacked">
${formKeyField(viewer)}
<input type="hidden" name="named" value="${name}">
${action.fields?.(campaign) ?? ''}
${recordedAs(viewer)}
<div class="actions"><button class="${action.grave ? 'grave' : 'main'}">${action.title}</button> <a class="button" href="${back}">Back</a></div>
</form>`;
  const mayDo = viewer.mayAct || action.role === 'read';
  return {
    title: `${action.title}: ${quoted(name)}`,
    trail: trailTo(label, campaign),
    body: html`<section>${problem === '' ? '' : html`<p class="problem" role="alert">${problem}</p>\n`}<p class="lead">${action.question(look, label)}</p>${mayDo ? form : html`<p class="problem">${READS_ONLY}</p>`}</section>`,
  };
}

/** Under which name a change will stand in the history. */
export function recordedAs({ name }: Pick<Viewer, 'name'>): Html {
  return html`<p class="note">The history of the campaign will name ${name}.</p>`;
}

function steerIt(
  { shown, campaign, actor }: Doing,
  steering: 'pause' | 'resume' | 'abort',
  options: SteerOptions = {},
): Promise<Steered> {
  return steer(shown.tenant, campaign.name, steering, actor, options);
}

function describeState(state: string, before: Steered, steering: string, more: string[] = []): string {
  if (before.finished !== null) return describeFinished(before.finished, steering, Date.now());
  const changed = before.state !== state;
  return describeSteered({ state, changed }, [
    ...more,
    steering === 'resume' ? '' : describeGoingOn(before.following),
  ]);
}

/** Any process may sweep, so nothing is left pending for want of a worker. */
async function abort(doing: Doing): Promise<string> {
  const { shown, campaign, log, wall, stop } = doing;
  const before = await steerIt(doing, 'abort');
  const sweep = createSweep({ ...shown.tenant, log, wall });
  while (!stop.aborted && (await sweep.endCampaigns()) === 'more');
  const { outcomes } = await findByNumber(shown.tenant, String(campaign.number));
  return describeState('aborted', before, 'abort', [
    `${plural(outcomes.withdrawn ?? 0, 'action')} withdrawn`,
  ]);
}

/** A cancel of these was accepted, or came too late. */
const SETTLED: readonly Outcome[] = ['cancelled', 'accepted', 'already_final'];

function retryFields({ outcomes }: Campaign): Html {
  const boxes = OUTCOMES.filter((outcome) => outcomes[outcome]).map(
    (outcome) =>
      html`<div><label><input type="checkbox" name="outcome" value="${outcome}">${mark(outcome)}${outcomeLabel(outcome)} (${count(outcomes[outcome] ?? 0)})${SETTLED.includes(outcome) ? ': nothing left to cancel' : ''}</label></div>\n`,
  );
  return html`<fieldset><legend>Outcomes</legend>${boxes}</fieldset>`;
}

function chosenOutcomes(fields: URLSearchParams): Outcome[] {
  return OUTCOMES.filter((outcome) => fields.getAll('outcome').includes(outcome));
}

async function retry({ shown, campaign, actor, fields }: Doing): Promise<string> {
  const outcomes = chosenOutcomes(fields);
  const reopened = await retryCampaign(shown.tenant, campaign.name, outcomes, actor);
  return describeRetried(reopened, leftToOthers(campaign, outcomes, reopened));
}

function priorityFields({ priority }: Campaign): Html {
  return html`<div><label for="priority">Priority (1 goes first)</label><select id="priority" name="priority">${priorityOptions(priority)}</select></div>`;
}

/** Everything a priority can be, one of them chosen. */
export function priorityOptions(chosen: number): Html[] {
  return [URGENT, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((value) => {
    const words = value === URGENT ? 'urgent: before all others, may use the reserved calls' : String(value);
    return value === chosen
      ? html`<option value="${value}" selected>${words}</option>`
      : html`<option value="${value}">${words}</option>`;
  });
}

/** What the form does not send. */
export const INVALID_PRIORITY = 'Invalid priority: use urgent, or 1 (first) to 9 (last).';

async function changePriority({ shown, campaign, actor, fields, feedUrgent }: Doing): Promise<string> {
  const priority = Number(fields.get('priority'));
  const before = await prioritize(shown.tenant, campaign.name, priority, actor);
  if (priority === URGENT) await feedUrgent(shown.tenant);
  return describeReprioritized(priority, before.priority);
}

async function verify({ shown, campaign, actor, tell, withReader, wall }: Doing): Promise<string> {
  const { tenant, config } = shown;
  await appendAudit(tenant, campaign.number, { ...actor, action: 'verify', detail: '' });
  return withReader(config, tenant, tell, async (reader) => {
    const onProgress = (asked: number) => tell(`${plural(asked, 'action')} checked so far`);
    const verified = await verifyCampaign({ ...tenant, reader, wall }, campaign, { onProgress });
    if (verified.asked === 0) return NOTHING_TO_VERIFY;
    const seen = [...verified.states].map(([state, number]) => `${state ?? 'no status'} ${count(number)}`);
    return [describeChecked(verified), ...seen].join('; ');
  });
}
