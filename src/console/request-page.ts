import { type ReportLine, resultsAt } from '../campaign/report.ts';
import { readRequest } from '../campaign/request.ts';
import type { Attempt } from '../ledger/attempts.ts';
import { type CancelResult, OUTCOME_MEANINGS } from '../outcome.ts';
import { describeEnd, describeOwner, describeThen } from '../report/attempt-words.ts';
import { type Html, html } from '../report/html.ts';
import { mark } from '../report/summary.ts';
import { plural } from '../words/number.ts';
import { findByNumber } from './find.ts';
import { describeAbsence, type Indexes } from './indexes.ts';
import { at, scrolling } from './parts.ts';
import type { Site } from './site.ts';
import { trailTo } from './tenant-page.ts';
import type { Directory } from './tenants.ts';
import { live } from './view.ts';

/** Longer the page does not wait for where the outcomes of a request stand, in ms: it shows them when they are known. */
const READ_MS = 1_000;

/** One request: how it stands, every call that decided nothing, and every outcome that the results have of it. */
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
      line.outcome === null
        ? renderOpen(line, campaign.name)
        : renderResult(line, 'How it stands', describeOwner(line, campaign.name));
    const past = indexed
      ? renderPast(await resultsAt(shown.tenant, campaign, indexed.placesOf(id)))
      : renderNone(describeAbsence(site, known) ?? 'They are being read; this takes a moment.');
    const regions = { now, attempts: renderAttempts(attempts), past };
    return {
      title: id,
      trail: trailTo(shown.label, campaign),
      everyMs: 4_000,
      regions,
      body: html`${live(regions, 'now')}${live(regions, 'attempts')}${live(regions, 'past')}`,
    };
  });
}

function renderOpen(line: ReportLine, campaign: string): Html {
  const owner = describeOwner(line, campaign);
  const words = [
    `open, ${plural(line.attempts, 'attempt')} used`,
    ...(line.uncertain ? ['an earlier attempt may have worked without saying so'] : []),
    ...(owner ? [owner] : []),
  ];
  return html`<section><h2>How it stands</h2><p>${mark('open')}${words.join('; ')}</p></section>`;
}

function renderAttempts(attempts: readonly Attempt[]): Html {
  if (attempts.length === 0)
    return html`<section><h2>Calls that decided nothing</h2><p class="note">None is known in this campaign.</p></section>`;
  const rows = attempts.map(
    (attempt) =>
      html`<tr><td>${at(attempt.at)}</td><td>${attempt.operation}</td><td>${describeEnd(attempt)}</td><td>${describeThen(attempt)}</td><td>${attempt.correlationId}</td></tr>\n`,
  );
  return html`<section><h2>Calls that decided nothing</h2>
<p class="note">Oldest first; of very many only the last ones.</p>
${scrolling('attempts', html`<table><thead><tr><th>when</th><th>call</th><th>what came of it</th><th>then</th><th>correlation id</th></tr></thead><tbody>${rows}</tbody></table>`)}</section>`;
}

function renderPast(past: readonly CancelResult[]): Html {
  if (past.length === 0) return renderNone('This campaign has no outcome of it.');
  return html`<section><h2>What was recorded</h2>
<p class="note">Each outcome and each verification, oldest first; an outcome counts the attempts that led to it.</p>
<ol class="past">${past.map((result) => html`<li>${renderDetails(result)}</li>\n`)}</ol></section>`;
}

function renderNone(why: string): Html {
  return html`<section><h2>What was recorded</h2><p class="note">${why}</p></section>`;
}

function renderResult(result: CancelResult, title: string, remark: string | null): Html {
  return html`<section><h2>${title}</h2>${remark ? html`<p>${remark}</p>` : ''}${renderDetails(result)}</section>`;
}

function renderDetails(result: CancelResult): Html {
  const { outcome, action, verifiedAt } = result;
  const facts: [name: string, value: string | number | Html | undefined | null][] = [
    ['Outcome', html`${mark(outcome)}${outcome}: ${OUTCOME_MEANINGS[outcome]}`],
    [verifiedAt ? 'Verified' : 'Decided', at(Date.parse(verifiedAt ?? result.decidedAt))],
    ['Attempts', result.attempts],
    [
      'Uncertain',
      result.uncertain
        ? 'an earlier call may have worked without saying so: this may be our own doing'
        : null,
    ],
    ['HTTP status', result.httpStatus],
    ['Error', [result.errorCode, result.errorMessage].filter(Boolean).join(': ')],
    ['Correlation id', result.correlationId],
    ['State', action?.status],
    ['Action', action?.type],
    ['Device', action?.computerDnsName],
    ['Machine id', action?.machineId],
    ['Campaign', result.campaign],
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
