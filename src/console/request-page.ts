import { type CancelResult, OUTCOME_MEANINGS, type Outcome } from '../base/outcome.ts';
import { withCode } from '../base/words/code.ts';
import { quoted } from '../base/words/name.ts';
import { plural } from '../base/words/number.ts';
import { describeEnd, describeOwner, describeThen } from '../files/report/attempt-words.ts';
import { type Html, html } from '../files/report/html.ts';
import { mark } from '../files/report/summary.ts';
import { outcomeLabel, UNCERTAIN } from '../files/words/campaign.ts';
import { type ReportLine, resultsAt } from '../store/campaign/report.ts';
import { readRequest } from '../store/campaign/request.ts';
import type { Attempt } from '../store/ledger/attempts.ts';
import { findByNumber } from './find.ts';
import { type Indexes, whyNotIndexed } from './indexes.ts';
import { ago, at, campaignPath, scrolling } from './parts.ts';
import type { Site } from './site.ts';
import { trailTo } from './tenant-page.ts';
import type { Directory, ShownTenant } from './tenants.ts';
import { live } from './view.ts';

/** Longer the page does not wait for where the outcomes of an action stand, in ms: it shows them when they are known. */
const READ_MS = 1_000;

/** One action: its status, every call that decided nothing, and every outcome that the results have of it. */
export function addRequestPage(site: Site, deps: { directory: Directory; indexes: Indexes }): void {
  site.view('/t/:tenant/c/:number/r/:id', async ({ params }) => {
    const shown = deps.directory.find(params['tenant'] ?? '');
    const campaign = await findByNumber(shown.tenant, params['number']);
    const { redis, keys } = shown.tenant;
    const rows = await redis.llen(keys.ids(campaign.number));
    const known = deps.indexes.of(shown, campaign.number, rows);
    const [{ line, attempts }, indexed] = await Promise.all([
      readRequest(shown.tenant, campaign, params['id'] ?? ''),
      typeof known === 'string' ? null : known.index.soon(READ_MS),
    ]);
    const id = line.machineActionId;
    const now =
      line.decidedAt === null
        ? renderOpen(line, campaign.name)
        : renderResult(line, describeOwner(line, campaign.name));
    const elsewhere = line.campaign === campaign.name ? null : await renderElsewhere(shown, line);
    const past = indexed
      ? renderPast(await resultsAt(shown.tenant, campaign, indexed.placesOf(id)), elsewhere)
      : renderNone(whyNotIndexed(site, known) ?? 'Reading the outcomes. This takes a moment.');
    const regions = { now, attempts: renderAttempts(attempts, elsewhere !== null), past };
    return {
      title: id,
      trail: trailTo(shown.label, campaign),
      everyMs: 4_000,
      regions,
      body: html`${live(regions, 'now')}${live(regions, 'attempts')}${live(regions, 'past')}`,
    };
  });
}

function renderOpen(line: ReportLine & { decidedAt: null }, campaign: string): Html {
  const owner = describeOwner(line, campaign);
  const words = [
    outcomeLabel(line.outcome),
    `${plural(line.attempts, 'attempt')} used`,
    ...(owner ? [owner] : []),
    ...(line.uncertain ? [`uncertain: ${UNCERTAIN}`] : []),
  ];
  return html`<section><h2>Status</h2><p>${mark(line.outcome ?? 'open')}${words.join('; ')}</p></section>`;
}

/** Of an action that another campaign owns, where its calls and outcomes are. */
async function renderElsewhere(
  { label, tenant: { redis, keys } }: ShownTenant,
  line: ReportLine,
): Promise<Html> {
  const { campaign: owner, machineActionId: id } = line;
  if (owner === '') return html`Its calls and outcomes were deleted with the campaign that owned it.`;
  const number = Number(await redis.hget(keys.campaigns, owner));
  return html`Its calls and outcomes are in campaign <a href="${campaignPath(label, number, 'r', id)}">${quoted(owner)}</a>.`;
}

function renderAttempts(attempts: readonly Attempt[], isElsewhere: boolean): Html {
  if (attempts.length === 0 && isElsewhere) return html``;
  if (attempts.length === 0)
    return html`<section><h2>Inconclusive attempts</h2><p class="note">None in this campaign.</p></section>`;
  const rows = attempts.map(
    (attempt) =>
      html`<tr><td>${at(attempt.at)}</td><td>${attempt.operation}</td><td>${describeEnd(attempt)}</td><td>${describeThen(attempt)}</td><td>${attempt.correlationId}</td></tr>\n`,
  );
  return html`<section><h2>Inconclusive attempts</h2>
<p class="note">Oldest first. Only the latest attempts are kept.</p>
${scrolling('Inconclusive attempts', html`<table><thead><tr><th>Time</th><th>Call</th><th>Result</th><th>Next</th><th>Correlation id</th></tr></thead><tbody>${rows}</tbody></table>`)}</section>`;
}

/** @param elsewhere where the other ones are; null: here are all of them. */
function renderPast(past: readonly CancelResult[], elsewhere: Html | null): Html {
  if (past.length === 0) return renderNone(elsewhere ?? 'No outcome in this campaign yet.');
  return html`<section><h2>Outcome history</h2>
<p class="note">Every outcome and verification${elsewhere ? ' in this campaign' : ''}, oldest first. Attempts are counted for each outcome. ${elsewhere ?? ''}</p>
<ol class="past">${past.map((result) => html`<li>${renderDetails(result)}</li>\n`)}</ol></section>`;
}

function renderNone(why: string | Html): Html {
  return html`<section><h2>Outcome history</h2><p class="note">${why}</p></section>`;
}

function renderResult(result: CancelResult, owner: string | null): Html {
  return html`<section><h2>Status</h2>${owner ? html`<p>This action is ${owner}.</p>` : ''}${renderDetails(result)}</section>`;
}

/** Its name and what that means, where the name alone does not say it. */
function describeOutcome(outcome: Outcome): string {
  const [label, meaning] = [outcomeLabel(outcome), OUTCOME_MEANINGS[outcome]];
  return meaning.toLowerCase() === label ? label : `${label}: ${meaning}`;
}

function renderDetails(result: CancelResult): Html {
  const { outcome, action, verifiedAt } = result;
  const facts: [name: string, value: string | number | Html | undefined | null][] = [
    ['Outcome', html`${mark(outcome)}${describeOutcome(outcome)}`],
    [verifiedAt ? 'Verified' : 'Finished', ago(Date.parse(verifiedAt ?? result.decidedAt))],
    ['Attempts', result.attempts],
    ['Uncertain', result.uncertain ? UNCERTAIN : null],
    ['HTTP status', result.httpStatus],
    ['Error', withCode(result.errorCode, result.errorMessage)],
    ['Correlation id', result.correlationId],
    ['Action status', action?.status],
    ['Type', action?.type],
    ['Device', action?.computerDnsName],
    ['Machine id', action?.machineId],
    ['Campaign', result.campaign && quoted(result.campaign)],
    ['Requested by', result.requestedBy],
  ];
  const items = facts
    .filter(
      (fact): fact is [string, string | number | Html] =>
        fact[1] !== undefined && fact[1] !== null && fact[1] !== '',
    )
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`);
  return html`<dl>${items}</dl>`;
}
