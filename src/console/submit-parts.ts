import { describeDuration, formatDuration } from '../base/duration.ts';
import { campaignIn } from '../base/words/name.ts';
import { plural } from '../base/words/number.ts';
import type { IdLine } from '../files/in/id-line.ts';
import { type Html, html } from '../files/report/html.ts';
import { unfinished } from '../files/words/blocked.ts';
import {
  describeDuplicates,
  describeExpiring,
  describeKnown,
  describePlanned,
  EXPECTED,
} from '../files/words/campaign.ts';
import type { SubmitPlan } from '../store/campaign/plan.ts';
import { DEFAULT_PRIORITY } from '../store/campaign/registry.ts';
import { MAX_COMMENT_LENGTH } from '../store/keys.ts';
import { describePriority } from '../store/ledger/place.ts';
import { priorityOptions, recordedAs } from './actions.ts';
import type { Draft } from './drafts.ts';
import { at, scrolling, tenantPath, upcoming } from './parts.ts';
import { READS_ONLY } from './session.ts';
import { formKeyField, live, type Viewer } from './view.ts';

/** The first thing to know before submitting. */
const NO_UNDO = 'Submitting cancels real actions. There is no undo.';

/** What stands in the form's fields, by their names. */
export function enteredFrom({ wish, pasted }: Draft): URLSearchParams {
  const { name, comment, priority, expiresInMs } = wish;
  return new URLSearchParams({
    campaign: name,
    comment,
    priority: String(priority),
    expires: expiresInMs === null ? '' : formatDuration(expiresInMs),
    ids: pasted ?? '',
  });
}

/**
 * The file stands last: everything else is known, then, before it is read.
 *
 * @param entered what the fields hold: of actions to be changed, or of a form with a problem.
 * @param problem what is wrong with what was entered; empty: nothing.
 */
export function renderForm(viewer: Viewer, entered: URLSearchParams, problem = ''): Html {
  if (!viewer.mayAct) return html`<section><p class="problem">${READS_ONLY}</p></section>`;
  const of = (name: string) => entered.get(name) ?? '';
  const priority = /^\d$/.test(of('priority')) ? Number(of('priority')) : DEFAULT_PRIORITY;
  return html`<section>${renderProblem(problem)}
<p>${NO_UNDO} Every line is checked first, and nothing is submitted before you confirm it.</p>
<form method="post" enctype="multipart/form-data" class="stacked" data-drop>
${formKeyField(viewer)}
<div><label for="campaign">Campaign (new or existing)</label><input id="campaign" name="campaign" maxlength="100" value="${of('campaign')}" required></div>
<div><label for="comment">Comment (sent with every cancel and kept in Defender's action center)</label><input id="comment" name="comment" maxlength="${MAX_COMMENT_LENGTH}" value="${of('comment')}" required></div>
<div><label for="priority">Priority of a new campaign (1 goes first)</label><select id="priority" name="priority">${priorityOptions(priority)}</select></div>
<div><label for="expires">Expires in (for example 4h; empty: never). Actions that are still pending then are not cancelled</label><input id="expires" name="expires" placeholder="never" value="${of('expires')}"></div>
<div><label for="ids">Action ids</label><textarea id="ids" name="ids" rows="6" spellcheck="false">${of('ids')}</textarea></div>
<div><label for="file">Or a file (choose it, or drop it anywhere on this form): ids, CSV with a header, JSONL or a response of the API</label><input id="file" name="file" type="file"></div>
<div><button class="main">Check</button></div>
</form>
</section>`;
}

/** Above a form: what is wrong with what was entered; empty: nothing. */
function renderProblem(problem: string): Html {
  return problem === '' ? html`` : html`<p class="problem" role="alert">${problem}</p>\n`;
}

/** What changes by itself. */
export interface Prospects {
  /** ISO 8601 UTC; null: not known. */
  etaAt: string | null;
  expiring: number | null;
  /** What keeps calls from going out; null: nothing. */
  obstacle: string | null;
}

export function renderDraft(draft: Draft, prospects: Prospects): Record<string, Html> {
  return {
    plan: renderForecast(draft, prospects),
    about: renderAbout(draft),
    question: renderQuestion(draft),
    submit: renderSubmit(draft),
  };
}

export function renderConfirm(
  draft: Draft,
  regions: Record<string, Html>,
  viewer: Viewer,
  { label, problem }: { label: string; problem: string },
): Html {
  const skip =
    draft.problems > 0
      ? html`<div><label><input type="checkbox" name="skip" value="yes" required>Skip ${plural(draft.problems, 'invalid line')}</label></div>`
      : '';
  return html`${renderProblem(problem)}${draft.failure === null ? '' : renderFailure(draft.failure)}${live(regions, 'plan')}
<section><h2>Check</h2>
<p class="lead">${plural(draft.ids, 'action')} in ${draft.source}, ${draft.problems > 0 ? html`<strong>${plural(draft.problems, 'invalid line')}</strong>` : 'no invalid lines'}${draft.duplicates > 0 ? `, ${describeDuplicates(draft.duplicates)}` : ''}</p>
${renderLines(draft)}</section>
${live(regions, 'about')}
<section><h2>Confirm</h2>
${live(regions, 'question')}
<form method="post" class="stacked">
${formKeyField(viewer)}
${draft.ids > 0 ? skip : ''}
${recordedAs(viewer)}
<div class="actions">${live(regions, 'submit')}<a class="button" href="${tenantPath(label, 'submit')}?from=${draft.id}">Change</a> <button name="do" value="drop" formnovalidate>Back</button></div>
</form>
</section>`;
}

/** Why there is nothing to submit; null: there is, or that is not known yet. */
export function whyNothing({ ids, problems, plan }: Draft): string | null {
  if (ids === 0) {
    const words = problems > 0 ? 'No line holds a machine action id.' : 'No machine action ids found.';
    return `${words} Nothing can be submitted; change the input.`;
  }
  if (typeof plan === 'string') return `Nothing can be submitted: ${unfinished(plan)}.`;
  if (plan && plan.accepted === 0 && plan.tracked.length === 0)
    return 'Nothing to submit: all actions are already in this campaign.';
  return null;
}

/** By what it would do, as soon as that is known. */
function renderSubmit(draft: Draft): Html {
  const reason = whyNothing(draft);
  if (reason !== null) return html`<p class="note">${reason}</p>`;
  const again = draft.failure === null || isFollowing(draft) ? '' : ' again';
  return html`<button class="main" name="do" value="submit">${describeDoing(draft)}${again}</button>\n`;
}

function renderQuestion(draft: Draft): Html {
  if (whyNothing(draft) !== null) return html``;
  const { wish, tenant } = draft;
  const [where, note] = isFollowing(draft)
    ? ['in', 'They are owned by other campaigns. This campaign will show their outcomes.']
    : ['to', NO_UNDO];
  return html`<p>${describeDoing(draft)} ${where} ${campaignIn(wish.name, tenant)}? ${note}</p>`;
}

function describeDoing(draft: Draft): string {
  const { ids, plan } = draft;
  if (isFollowing(draft)) return `Follow ${plural(ids, 'action')}`;
  return `Submit ${plural(plan !== null && typeof plan !== 'string' ? plan.accepted : ids, 'action')}`;
}

/** Whether nothing would be queued: all of them are other campaigns' already. */
function isFollowing({ plan }: Draft): boolean {
  return plan !== null && typeof plan !== 'string' && plan.accepted === 0;
}

function renderFailure(failure: string): Html {
  const words = `Submitting these actions failed half-way: ${unfinished(failure)}. Some may have been submitted; the campaign's page shows which. It is safe to submit them again: no action is submitted twice.`;
  return renderProblem(words);
}

function renderLines({ lines, ids, duplicates, problems }: Draft): Html {
  const bad = lines.filter((line) => line.problem !== undefined);
  const good = lines.filter((line) => line.problem === undefined);
  const left = ids + duplicates + problems - lines.length;
  return html`${scrolling(
    'Check of each line',
    html`<table>
<thead><tr><th scope="col" class="number">Line</th><th scope="col">Check</th><th scope="col">Text</th></tr></thead>
<tbody>
${[...bad, ...good].map(renderLine)}</tbody>
</table>`,
  )}
${left > 0 ? html`<p class="note">${plural(left, 'more line')} not shown. All lines were checked and are counted above.</p>` : ''}`;
}

function renderLine(line: IdLine): Html {
  return line.problem === undefined
    ? html`<tr><td class="number">${line.line}</td><td>✓ valid</td><td class="id">${line.id}</td></tr>\n`
    : html`<tr><td class="number">${line.line}</td><td class="bad">✗ ${line.problem}</td><td class="id">${line.text}</td></tr>\n`;
}

function renderForecast(draft: Draft, prospects: Prospects): Html {
  const { plan, wish, ids } = draft;
  const words = [
    `priority ${describePriority(wish.priority)}`,
    wish.expiresInMs === null ? 'no expiry' : `expires in ${describeDuration(wish.expiresInMs)}`,
    `comment: ${wish.comment}`,
  ];
  return html`<section><h2>Forecast</h2>
${plan === null ? html`<p class="note" role="status">Looking up ${plural(ids, 'action')}…</p>` : typeof plan === 'string' ? html`<p class="problem">${plan}</p>` : renderPlan(draft, plan, prospects)}
${plan !== null && typeof plan !== 'string' && !plan.created ? '' : html`<p class="note">${words.join('; ')}</p>`}</section>`;
}

function renderPlan(
  { wish, tenant, plannedAt }: Draft,
  plan: SubmitPlan,
  { etaAt, expiring, obstacle }: Prospects,
): Html {
  const known = describeKnown(plan);
  const kept = plan.created
    ? ''
    : html`<p>The existing campaign keeps its comment, priority and expiry; those entered here are not used.</p>`;
  return html`<p>${describePlanned({ name: wish.name, tenant }, plan)} <span class="note">(checked at ${at(plannedAt)})</span></p>
${known.length > 0 ? html`<ul>${known.map((line) => html`<li>${line}</li>`)}</ul>` : ''}${etaAt ? html`<p>${EXPECTED} ${upcoming(etaAt)}${describeExpiring(expiring)}.</p>` : ''}${obstacle && (plan.accepted > 0 || plan.tracked.some(({ outcome }) => outcome === null)) ? html`<p class="hold">${obstacle}</p>` : ''}${kept}`;
}

function renderAbout({ about }: Draft): Html {
  return html`<section><h2>Preview</h2>
${about === null ? html`<p class="note" role="status">Reading the actions…</p>` : html`<pre>${about.join('\n')}</pre>`}</section>`;
}
