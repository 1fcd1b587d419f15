import type { Tenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { OUTCOMES, type Outcome } from '../base/outcome.ts';
import { campaignIn, quoted } from '../base/words/name.ts';
import { count, plural } from '../base/words/number.ts';
import type { Config } from '../config/config.ts';
import type { Reader } from '../defender/reader.ts';
import { type Html, html } from '../files/report/html.ts';
import { mark } from '../files/report/summary.ts';
import {
  askAbort,
  describeChecked,
  describeReprioritized,
  describeRetried,
  describeSteered,
  describeUnverified,
  outcomeLabel,
} from '../files/words/campaign.ts';
import { type Actor, appendAudit } from '../store/campaign/audit.ts';
import { waitingOn } from '../store/campaign/forget.ts';
import type { Campaign } from '../store/campaign/registry.ts';
import { type CampaignLook, lookAt, mayBePaused, mayBeSteered } from '../store/campaign/status.ts';
import {
  leftToOthers,
  prioritize,
  retryCampaign,
  type SteerOptions,
  steer,
} from '../store/campaign/steer.ts';
import { describePriority, URGENT } from '../store/ledger/place.ts';
import { verifyCampaign } from '../worker/verify.ts';
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
  question(look: CampaignLook, shown: Pick<ShownTenant, 'label' | 'tenant'>): string | Promise<string>;
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
    fits: mayBePaused,
    question: ({ campaign: { name, open } }, { label: tenant }) =>
      `Pause ${campaignIn(name, tenant)}? Calls in flight are finished. ${plural(open, 'pending action waits', 'pending actions wait')} until the campaign is resumed.`,
    run: (doing) => steerIt(doing, 'pause'),
  },
  resume: {
    title: 'Resume',
    role: 'act',
    fits: ({ campaign }) => campaign.state === 'paused',
    question: ({ campaign: { name, open, pausedReason } }, { label: tenant }) =>
      `Resume ${campaignIn(name, tenant)}? Cancels will be sent for ${plural(open, 'pending action')}.${pausedReason ? ' One action goes first: if Defender refuses it in the same way, the campaign is paused again.' : ''}`,
    fields: ({ pausedReason }) =>
      pausedReason
        ? html`<div><label><input type="checkbox" name="acceptRefusals" value="1">Accept refusals: do not try one action first, and never pause this campaign because of refusals again</label></div>`
        : html``,
    run: async (doing) => {
      const acceptRefusals = doing.fields.get('acceptRefusals') === '1';
      return steerIt(doing, 'resume', { acceptRefusals });
    },
  },
  abort: {
    title: 'Abort',
    role: 'act',
    grave: true,
    fits: (look) => isOpen(look.campaign) && mayBeSteered(look),
    question: async ({ campaign, status: { tracked } }, { label, tenant }) => {
      const { name, open } = campaign;
      const followers = await waitingOn(tenant, campaign);
      return askAbort({ name, tenant: label }, { open, following: tracked.open, followers });
    },
    run: (doing) => steerIt(doing, 'abort'),
  },
  retry: {
    title: 'Retry',
    role: 'act',
    fits: ({ campaign }) => isOpen(campaign) && campaign.total > campaign.open,
    question: ({ campaign: { name } }, { label: tenant }) =>
      `Retry actions of ${campaignIn(name, tenant)}? Select the outcomes to retry: actions that ended with them are queued again.`,
    fields: retryFields,
    problem: (fields) => (chosenOutcomes(fields).length > 0 ? null : 'Select at least one outcome.'),
    run: retry,
  },
  priority: {
    title: 'Change priority',
    role: 'act',
    fits: ({ campaign }) => isOpen(campaign) && campaign.open > 0,
    question: ({ campaign: { name, priority } }, { label: tenant }) =>
      `Change the priority of ${campaignIn(name, tenant)}? It is ${describePriority(priority)}.`,
    fields: priorityFields,
    problem: (fields) => (/^\d$/.test(fields.get('priority') ?? '') ? null : INVALID_PRIORITY),
    run: changePriority,
  },
  verify: {
    title: 'Verify',
    role: 'act',
    fits: ({ campaign: { total, open } }) => total > open,
    question: ({ campaign: { name } }, { label: tenant }) =>
      `Verify ${campaignIn(name, tenant)}? This reads the action status of every finished action. Reading has a rate limit of its own and does not slow down cancels.`,
    run: verify,
  },
  export: {
    title: 'Export',
    role: 'read',
    fits: () => true,
    question: ({ campaign: { name } }, { label: tenant }) =>
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
    const take = async (visit: Visit) => {
      const { shown, campaign } = await find(deps, visit);
      assertSame(campaign, visit.fields);
      const problem = action.problem?.(visit.fields) ?? null;
      if (problem !== null) {
        const view = await askFirst(shown, await lookAt(shown.tenant, campaign), action, visit, problem);
        sendPage(visit.reply.code(400), view, visit.viewer);
        return null;
      }
      const actor = { by: visit.viewer.name, command: `console: ${name} ${campaign.name}` };
      const doing = { ...deps, shown, campaign, actor, fields: visit.fields };
      if ('answer' in action) return action.answer(doing, visit);
      const { label } = shown;
      const work = (tell: (words: string) => void) => action.run({ ...doing, tell });
      const readState = async () => (await lookAt(shown.tenant, campaign)).status.state;
      const task = { what: action.title, by: actor.by, readState };
      await deps.tasks.run(taskKey(label, campaign.number), task, work);
      shown.forget();
      return campaignPath(label, campaign.number);
    };
    site.form(path, action.role, take, name === 'export' ? 'export' : 'page');
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

async function askFirst(
  shown: ShownTenant,
  look: CampaignLook,
  action: Action,
  { viewer }: Visit,
  problem = '',
): Promise<View> {
  const { label } = shown;
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
    body: html`<section>${problem === '' ? '' : html`<p class="problem" role="alert">${problem}</p>\n`}<p class="lead">${await action.question(look, shown)}</p>${mayDo ? form : html`<p class="problem">${READS_ONLY}</p>`}</section>`,
  };
}

/** Under which name a change will stand in the history. */
export function recordedAs({ name }: Pick<Viewer, 'name'>): Html {
  return html`<p class="note">The history of the campaign will name ${name}.</p>`;
}

async function steerIt(
  { shown, campaign, actor, log, stop }: Doing,
  steering: 'pause' | 'resume' | 'abort',
  options: SteerOptions = {},
): Promise<string> {
  const deps = { ...shown.tenant, log, signal: stop };
  return describeSteered(await steer(deps, campaign.name, steering, actor, options), Date.now());
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
    const seen = [...verified.states].map(([state, number]) => `${state ?? 'no status'} ${count(number)}`);
    return [describeChecked(verified), ...seen, ...describeUnverified(verified)].join('; ');
  });
}
