import type { SubmitPlan } from '../campaign/plan.ts';
import { DEFAULT_PRIORITY } from '../campaign/registry.ts';
import { describeDuration, formatDuration } from '../duration.ts';
import type { IdLine } from '../intake/id-line.ts';
import { MAX_COMMENT_LENGTH } from '../job.ts';
import { describePriority } from '../ledger/place.ts';
import { type Html, html } from '../report/html.ts';
import { describeDuplicates, describeKnown } from '../words/campaign.ts';
import { count, plural } from '../words/number.ts';
import { priorityOptions } from './actions.ts';
import type { Draft } from './drafts.ts';
import { scrolling, tenantPath, until } from './parts.ts';
import { formKeyField, live, type Viewer } from './view.ts';

/**
 * The file stands last: everything else is known, then, before it is read.
 *
 * @param draft what was handed in before, and is to be changed.
 */
export function renderForm(viewer: Viewer, draft: Draft | null): Html {
  const { name = '', comment = '', priority = DEFAULT_PRIORITY, expiresInMs = null } = draft?.wish ?? {};
  if (!viewer.mayAct)
    return html`<section><p class="problem">You signed in with the token for reading: it does not allow this.</p></section>`;
  return html`<section>
<p>What is submitted is cancelled. First comes a check of each line and the forecast; nothing is submitted before you confirm it.</p>
<form method="post" enctype="multipart/form-data" class="stacked" data-drop>
${formKeyField(viewer)}
<div><label for="campaign">Campaign; it is created unless it exists</label><input id="campaign" name="campaign" maxlength="100" value="${name}" required></div>
<div><label for="comment">Comment, sent with every cancel and kept in Defender's action center</label><input id="comment" name="comment" maxlength="${MAX_COMMENT_LENGTH}" value="${comment}" required></div>
<div><label for="priority">Priority of a new campaign, 1 goes first</label><select id="priority" name="priority">${priorityOptions(priority)}</select></div>
<div><label for="expires">Expires in, such as 4h; what is not called by then is left alone. Empty: never</label><input id="expires" name="expires" placeholder="never" value="${expiresInMs === null ? '' : formatDuration(expiresInMs)}"></div>
<div><label for="ids">Ids, pasted</label><textarea id="ids" name="ids" rows="6" spellcheck="false">${draft?.pasted ?? ''}</textarea></div>
<div><label for="file">… or a file, chosen or dropped anywhere on this form: ids, CSV with a header, JSONL or an answer of the API</label><input id="file" name="file" type="file"></div>
<div><button class="main">Check</button></div>
</form>
</section>`;
}

export function renderDraft(draft: Draft): Record<string, Html> {
  return { plan: renderPlan(draft), about: renderAbout(draft), submit: renderSubmit(draft) };
}

export function renderConfirm(
  draft: Draft,
  regions: Record<string, Html>,
  viewer: Viewer,
  label: string,
): Html {
  const skip =
    draft.problems > 0
      ? html`<div><label><input type="checkbox" name="skip" value="yes" required>Leave the ${plural(draft.problems, 'bad line')} out</label></div>`
      : '';
  const leave = draft.failure === null ? 'Submit nothing' : 'Leave it at that';
  return html`${draft.failure === null ? '' : renderFailure(draft.failure)}${live(regions, 'plan')}
<section><h2>Check</h2>
<p class="lead">${plural(draft.ids, 'id')} in ${draft.source}, ${draft.problems > 0 ? html`<strong>${plural(draft.problems, 'bad line')}</strong>` : 'no bad line'}${draft.duplicates > 0 ? `, ${describeDuplicates(draft.duplicates)}` : ''}</p>
${renderLines(draft)}</section>
${live(regions, 'about')}
<section><h2>Confirm</h2>
<form method="post" class="stacked">
${formKeyField(viewer)}
${draft.ids > 0 ? skip : ''}
<p class="note">The history of the campaign will show that ${viewer.name} did it.</p>
<div class="actions">${live(regions, 'submit')}<a class="button" href="${tenantPath(label, 'submit')}?from=${draft.id}">Change</a> <button name="do" value="drop" formnovalidate>${leave}</button></div>
</form>
</section>`;
}

/** Why there is nothing to submit; null: there is, or nobody knows yet. */
export function whyNothing({ ids, problems, plan }: Draft): string | null {
  if (ids === 0) {
    const words = problems > 0 ? 'No line holds a machine action id' : 'There is no machine action id in it';
    return `${words}: nothing can be submitted. Change what is handed in.`;
  }
  if (typeof plan === 'string') return `Nothing can be submitted: ${plan}.`;
  if (plan && plan.accepted === 0 && plan.tracked.length === 0)
    return 'All of them are in this campaign already: there is nothing to submit.';
  return null;
}

/** By what it would do, as soon as that is known. */
function renderSubmit(draft: Draft): Html {
  const reason = whyNothing(draft);
  if (reason !== null) return html`<p class="note">${reason}</p>`;
  const { ids, plan, failure } = draft;
  const again = failure === null ? '' : ' again';
  const isFollowing = plan !== null && typeof plan !== 'string' && plan.accepted === 0;
  const callable = plan !== null && typeof plan !== 'string' ? plan.accepted : ids;
  const words = isFollowing
    ? `Follow ${plural(ids, 'id')} in this campaign`
    : `Submit ${plural(callable, 'id')}${again}`;
  return html`<button class="main" name="do" value="submit">${words}</button>\n`;
}

function renderFailure(failure: string): Html {
  const words = `A submit of these failed on its way: ${failure}. Some of them may be submitted by now; the campaign's page shows which. Submitting them again repeats nothing.`;
  return html`<p class="problem" role="alert">${words}</p>\n`;
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
${left > 0 ? html`<p class="note">${count(left)} more lines are not shown here; each was checked, and counts above.</p>` : ''}`;
}

function renderLine(line: IdLine): Html {
  return line.problem === undefined
    ? html`<tr><td class="number">${line.line}</td><td>✓ an id</td><td class="id">${line.id}</td></tr>\n`
    : html`<tr><td class="number">${line.line}</td><td class="bad">✗ ${line.problem}</td><td class="id">${line.text}</td></tr>\n`;
}

function renderPlan({ plan, wish, ids }: Draft): Html {
  const words = [
    `priority ${describePriority(wish.priority)}`,
    wish.expiresInMs === null ? 'does not expire' : `expires in ${describeDuration(wish.expiresInMs)}`,
    `comment: ${wish.comment}`,
  ];
  return html`<section><h2>Forecast</h2>
${plan === null ? html`<p class="note" role="status">${plural(ids, 'id')} are looked up …</p>` : typeof plan === 'string' ? html`<p class="problem">${plan}</p>` : renderCounts(plan)}
<p class="note">${words.join('; ')}</p></section>`;
}

function renderCounts(plan: SubmitPlan): Html {
  const lines = [
    `${plan.created ? 'a new campaign' : 'a campaign that exists: it keeps its comment, priority and expiry'}; ${plural(plan.accepted, 'id')} would be called`,
    ...describeKnown(plan),
  ];
  return html`<ul>${lines.map((line) => html`<li>${line}</li>`)}${plan.etaAt ? html`<li>it would be done at ${until(plan.etaAt)}, as things stand</li>` : ''}</ul>`;
}

function renderAbout({ about }: Draft): Html {
  return html`<section><h2>What they are about</h2>
${about === null ? html`<p class="note" role="status">It is being read …</p>` : html`<pre>${about.join('\n')}</pre>`}</section>`;
}
