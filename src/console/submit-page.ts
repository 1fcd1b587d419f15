import type { Tenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import { campaignIn } from '../base/words/name.ts';
import type { Spool } from '../files/in/spool.ts';
import { describeObstacle } from '../files/words/blocked.ts';
import { NO_FORECAST } from '../store/campaign/forecast.ts';
import { forecastSubmit, planSubmit } from '../store/campaign/plan.ts';
import { expiryOf, submitCampaign } from '../store/campaign/submit.ts';
import { URGENT } from '../store/ledger/place.ts';
import type { Draft, Drafts } from './drafts.ts';
import { readHandedIn } from './hand-in.ts';
import { campaignPath, tenantPath } from './parts.ts';
import { OUTDATED_FORM } from './session.ts';
import { type Site, sendPage } from './site.ts';
import { statusOf } from './status.ts';
import {
  enteredFrom,
  type Prospects,
  renderConfirm,
  renderDraft,
  renderForm,
  whyNothing,
} from './submit-parts.ts';
import { trailTo } from './tenant-page.ts';
import type { Directory, ShownTenant } from './tenants.ts';
import type { View, Viewer } from './view.ts';

export interface SubmitDeps {
  directory: Directory;
  drafts: Drafts;
  openSpool(): Promise<Spool>;
  /** Says what ids are about, where the application may read; else why not. */
  preview(shown: ShownTenant, spool: Spool, signal: AbortSignal): Promise<string[]>;
  feedUrgent(tenant: Tenant): Promise<void>;
}

/** Submitting actions: the form, the check of each line with the forecast, and only then the campaign. */
export function addSubmitPage(site: Site, deps: SubmitDeps): void {
  const { directory, drafts } = deps;

  site.view('/t/:tenant/submit', async ({ params, query, viewer }) => {
    const { label } = directory.find(params['tenant'] ?? '');
    const from = query['from'];
    const entered =
      from === undefined ? new URLSearchParams() : enteredFrom(drafts.find(from, label, viewer.name));
    return viewForm(label, viewer, entered);
  });

  const config = { role: 'act', use: 'upload' } as const;
  site.app.post<{ Params: { tenant: string } }>('/t/:tenant/submit', { config }, async (request, reply) => {
    const shown = directory.find(request.params.tenant);
    site.assertReady();
    const sent: { viewer?: Viewer; entered: URLSearchParams } = { entered: new URLSearchParams() };
    const handed = await readHandedIn(request, deps.openSpool, (entered) => {
      const viewer = site.check(request, 'act', entered.get('formKey'));
      Object.assign(sent, { viewer, entered });
    }).catch((error: unknown) => {
      // Before the key of the form was seen, nothing of it is shown again.
      if (!sent.viewer) throw error;
      return { problem: problemOf(error, site), status: statusOf(error) };
    });
    const { viewer = null, entered } = sent;
    if (viewer === null) throw new StanddownError('NOT_PERMITTED', OUTDATED_FORM);
    if ('problem' in handed)
      return sendPage(
        reply.code(handed.status),
        viewForm(shown.label, viewer, entered, handed.problem),
        viewer,
      );
    const fresh = {
      ...handed,
      owner: viewer.name,
      tenant: shown.label,
      plan: null,
      plannedAt: 0,
      about: null,
      failure: null,
    };
    const draft = drafts.add(fresh, (added, signal) => weigh(deps, site, shown, added, signal));
    return reply.redirect(tenantPath(shown.label, 'submit', draft.id), 303);
  });

  site.view('/t/:tenant/submit/:draft', async ({ params, viewer }) => {
    const shown = directory.find(params['tenant'] ?? '');
    return viewDraft(shown, drafts.find(params['draft'] ?? '', shown.label, viewer.name), viewer);
  });

  site.form('/t/:tenant/submit/:draft', 'act', async ({ params, fields, viewer, reply }) => {
    const shown = directory.find(params['tenant'] ?? '');
    const draft = drafts.find(params['draft'] ?? '', shown.label, viewer.name);
    if (fields.get('do') === 'drop') {
      drafts.drop(draft);
      return tenantPath(shown.label);
    }
    const hasUnskipped = draft.problems > 0 && fields.get('skip') !== 'yes';
    const reason = whyNothing(draft) ?? (hasUnskipped ? UNSKIPPED : null);
    if (reason !== null) {
      sendPage(reply.code(400), await viewDraft(shown, draft, viewer, reason), viewer);
      return null;
    }
    return drafts
      .use(draft, () => submit(deps, shown, draft))
      .catch((error: unknown) => {
        // The page of these actions says so, and offers to submit them again.
        draft.failure = site.describe(error);
        return tenantPath(shown.label, 'submit', draft.id);
      });
  });
}

const UNSKIPPED =
  'Some lines are invalid. Select the box to skip them, or correct them. Nothing was submitted.';

function viewForm(label: string, viewer: Viewer, entered: URLSearchParams, problem = ''): View {
  return {
    title: 'Submit actions',
    trail: trailTo(label),
    mayBeKept: problem === '',
    body: renderForm(viewer, entered, problem),
  };
}

async function viewDraft(shown: ShownTenant, draft: Draft, viewer: Viewer, problem = ''): Promise<View> {
  const { label } = shown;
  // As it was before the look, during which the plan may come: a plan is never shown without its forecast.
  const seen = { ...draft };
  const regions = renderDraft(seen, await prospectsOf(shown, seen));
  return {
    title: `Submit to ${campaignIn(draft.wish.name, label)}`,
    trail: [...trailTo(label), { href: tenantPath(label, 'submit'), text: 'Submit actions' }],
    everyMs: 1_000,
    regions,
    body: renderConfirm(seen, regions, viewer, { label, problem }),
  };
}

/** In words, where the form can be put right. */
function problemOf(error: unknown, site: Site): string {
  const isOfForm = error instanceof StanddownError && ['USAGE', 'INPUT_INVALID'].includes(error.code);
  if (!isOfForm) throw error;
  return site.describe(error);
}

/** How it would go as things stand now: the page may be open for long. */
async function prospectsOf({ tenant, label, look }: ShownTenant, { plan, wish }: Draft): Promise<Prospects> {
  const [{ budget }, forecast] = await Promise.all([
    look(),
    plan !== null && typeof plan !== 'string' ? forecastSubmit(tenant, wish, plan) : null,
  ]);
  return { ...(forecast ?? NO_FORECAST), obstacle: describeObstacle(budget, label) };
}

/** Behind the page: the ids may be many, and reading about them may have to wait. */
async function weigh(
  { preview }: SubmitDeps,
  { describe }: Site,
  shown: ShownTenant,
  draft: Draft,
  signal: AbortSignal,
): Promise<void> {
  /** What was given up because the actions were dropped needs no words. */
  const inWords = (error: unknown) => (signal.aborted ? '' : describe(error));
  const planning = planSubmit(shown.tenant, draft.wish, draft.spool.read(signal)).catch(inWords);
  const previewing = preview(shown, draft.spool, signal).catch((error: unknown) => [inWords(error)]);
  await Promise.all([
    planning.then((plan) => {
      draft.plan = plan;
      draft.plannedAt = Date.now();
    }),
    previewing.then((about) => {
      draft.about = about;
    }),
  ]);
}

/** @returns where to go then. */
async function submit(deps: SubmitDeps, shown: ShownTenant, draft: Draft): Promise<string> {
  const { tenant, label } = shown;
  const { name, comment, priority, expiresInMs } = draft.wish;
  const wanted = {
    name,
    comment,
    priority,
    requestedBy: draft.owner,
    now: Date.now(),
    expiresAt: await expiryOf(tenant.redis, expiresInMs),
  };
  const actor = { by: draft.owner, command: `console: submit ${draft.source} to ${name}` };
  const summary = await submitCampaign(tenant, wanted, draft.spool.read(), { expected: draft.ids, actor });
  shown.forget();
  // It is submitted, whatever becomes of the rest: a worker hands out the first ids within 2 s, too.
  if (summary.priority === URGENT) await deps.feedUrgent(tenant).catch(() => undefined);
  const number = await tenant.redis.hget(tenant.keys.campaigns, name).catch(() => null);
  return number === null ? tenantPath(label) : campaignPath(label, Number(number));
}
