import { OUTCOME_MEANINGS } from '../../base/outcome.ts';
import { count, percent, plural } from '../../base/words/number.ts';
import { formatUtc } from '../../base/words/time.ts';
import type { Window } from '../../config/limits.ts';
import type { AuditEntry } from '../../store/campaign/audit.ts';
import { type Campaign, displayState } from '../../store/campaign/registry.ts';
import { describePriorityFact, outcomeLabel, UNCERTAIN } from '../words/campaign.ts';
import { renderTimeline } from './chart.ts';
import { type Html, html } from './html.ts';
import { type Group, OUTCOMES_OR_OPEN, type OutcomeOrOpen, type Summary } from './tally.ts';

/** What a page says besides its lines. */
export interface Facts {
  campaign: Campaign;
  /** What was done to the campaign, in order. */
  history: readonly AuditEntry[];
  /** The limits that hold where the page is made. */
  windows: readonly Window[];
  /** Ms since 1970. */
  madeAt: number;
  version: string;
}

/** The page: what its lines add up to, and the table of them. */
export function renderSummary(facts: Facts, summary: Summary, table: Html): Html {
  return html`<header>
<p class="kind">Standdown report</p>
<h1>${facts.campaign.name}</h1>
${renderLead(summary)}
</header>
<main>
<div class="columns">
${renderFacts(facts, summary)}
${renderOutcomes(summary)}
</div>
${renderTimeline(summary, formatUtc)}
${renderTypes(summary.types)}
${renderHistory(facts.history)}
${table}
</main>`;
}

/** What a reader wants to know first. */
function renderLead(summary: Summary): Html {
  const { total, stopped, outcomes } = summary;
  const others = stopped - (outcomes.get('cancelled') ?? 0);
  const note =
    others > 0
      ? ` Of the cancelled ones, ${count(others)} ${others === 1 ? 'was' : 'were'} cancelled before Standdown’s call or found cancelled later.`
      : '';
  return html`<p class="lead">${describeStopped(summary)}${note}</p>
${renderBar('All actions by outcome', { name: '', total, outcomes })}`;
}

function describeStopped({ total, stopped, outcomes }: Summary): string {
  if (total === 0) return 'This campaign has no actions.';
  const pending = outcomes.get('open') ?? 0;
  const unknown = outcomes.get('unknown') ?? 0;
  const rest = total - stopped - pending - unknown;
  const are = (number: number) => `${count(number)} ${number === 1 ? 'is' : 'are'}`;
  const parts = [
    ...(rest > 0 ? [`${are(rest)} not`] : []),
    ...(pending > 0 ? [`${are(pending)} ${outcomeLabel('open')}`] : []),
    ...(unknown > 0
      ? [
          `${are(unknown)} ${outcomeLabel('unknown')} because the campaign that owned ${unknown === 1 ? 'it' : 'them'} was deleted`,
        ]
      : []),
  ];
  if (parts.length === 0)
    return total === 1
      ? 'The action is confirmed cancelled.'
      : `All ${count(total)} actions are confirmed cancelled.`;
  return `${count(stopped)} of ${plural(total, 'action')} ${stopped === 1 ? 'is' : 'are'} confirmed cancelled, ${parts.join(', ')}.`;
}

function renderFacts({ campaign, madeAt, version }: Facts, summary: Summary): Html {
  const facts: [name: string, value: string][] = [
    ['Status', stateOf(campaign, summary, madeAt)],
    ['Comment', campaign.comment],
    ['Requested by', campaign.requestedBy ?? ''],
    ['Created', formatUtc(campaign.createdAt)],
    ['Expires', campaign.expiresAt === null ? '' : formatUtc(campaign.expiresAt)],
    ['First answer', summary.timeline ? formatUtc(summary.timeline.first) : ''],
    ['Last outcome', campaign.decidedAt === null ? '' : formatUtc(campaign.decidedAt)],
    ['Priority', describePriorityFact(campaign.priority)],
    ['Uncertain', summary.uncertain > 0 ? `${plural(summary.uncertain, 'action')}: ${UNCERTAIN}` : 'none'],
    [
      'Followed',
      summary.tracked > 0 ? `${plural(summary.tracked, 'action')} owned by other campaigns` : 'none',
    ],
    ['Verified', summary.verified > 0 ? plural(summary.verified, 'action') : 'none'],
    ['Report created', `${formatUtc(madeAt)}, Standdown ${version}`],
  ];
  const items = facts
    .filter(([, value]) => value !== '')
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`);
  return html`<section>
<h2>Campaign</h2>
<dl>
${items}</dl>
</section>`;
}

function stateOf(campaign: Campaign, { total, outcomes }: Summary, madeAt: number): string {
  const shown = displayState({ ...campaign, total, open: outcomes.get('open') ?? 0 }, madeAt);
  return shown === 'paused' && campaign.pausedReason ? `paused: ${campaign.pausedReason}` : shown;
}

export function renderOutcomes({ total, outcomes, states }: Summary): Html {
  const rows = present(outcomes).map(([outcome, number]) => {
    const seen = (states.get(outcome) ?? []).map(([state, some]) => `${state} ${count(some)}`).join(' · ');
    return html`<tr>
<th scope="row">${mark(outcome)}${outcomeLabel(outcome)}</th>
<td class="number">${count(number)}</td>
<td class="number">${percent(number, total)}</td>
<td>${MEANINGS[outcome]}</td>
<td>${seen}</td>
</tr>
`;
  });
  return html`<section>
<h2>Outcomes</h2>
<div class="scroll" role="region" aria-label="Outcomes" tabindex="0">
<table>
<thead><tr><th scope="col">Outcome</th><th scope="col" class="number">Actions</th><th scope="col" class="number">Share</th><th scope="col">Meaning</th><th scope="col">Action status when last read</th></tr></thead>
<tbody>
${rows}</tbody>
<tfoot><tr><th scope="row">Total</th><td class="number">${count(total)}</td><td></td><td></td><td></td></tr></tfoot>
</table>
</div>
</section>`;
}

/** Each in a few words. */
export const MEANINGS: Readonly<Record<OutcomeOrOpen, string>> = {
  ...OUTCOME_MEANINGS,
  open: 'No outcome yet',
  unknown: 'Its campaign was deleted, and its outcome with it',
};

export function renderTypes(types: readonly Group[]): Html {
  const shown = OUTCOMES_OR_OPEN.filter((outcome) => types.some(({ outcomes }) => outcomes.get(outcome)));
  const heads = shown.map(
    (outcome) => html`<th scope="col" class="number">${mark(outcome)}${outcomeLabel(outcome)}</th>`,
  );
  const rows = types.map((group) => {
    const cells = shown.map(
      (outcome) => html`<td class="number">${count(group.outcomes.get(outcome) ?? 0)}</td>`,
    );
    return html`<tr><th scope="row">${group.name}</th><td class="bar">${renderBar('', group)}</td>${cells}<td class="number">${count(group.total)}</td></tr>
`;
  });
  return html`<section>
<h2>Outcomes by type</h2>
<p class="note">The type is known only for actions that Defender has returned.</p>
<div class="scroll" role="region" aria-label="Outcomes by type" tabindex="0">
<table>
<thead><tr><th scope="col">Type</th><th scope="col"><span class="unseen">Share of each outcome</span></th>${heads}<th scope="col" class="number">Total</th></tr></thead>
<tbody>
${rows}</tbody>
</table>
</div>
</section>`;
}

/** Entries shown one by one. */
const MOST_HISTORY = 200;

function renderHistory(history: readonly AuditEntry[]): Html {
  if (history.length === 0) return html``;
  const latest = history.slice(-MOST_HISTORY);
  const rows = latest.map(
    ({ at, action, by, detail, command }) =>
      html`<tr><td class="time">${formatUtc(at)}</td><td>${action}</td><td>${by}</td><td>${detail}</td><td class="command"><code>${command}</code></td></tr>
`,
  );
  const left = history.length - latest.length;
  return html`<section>
<h2>History</h2>
${left > 0 ? html`<p class="note">${plural(left, 'earlier entry', 'earlier entries')} not shown.</p>` : ''}
<div class="scroll" role="region" aria-label="History" tabindex="0">
<table>
<thead><tr><th scope="col">Time</th><th scope="col">Change</th><th scope="col">By</th><th scope="col">Detail</th><th scope="col">Command</th></tr></thead>
<tbody>
${rows}</tbody>
</table>
</div>
</section>`;
}

/** A bar of an outcome's shares: `label` for who cannot see it; empty where the numbers stand beside it. */
export function renderBar(label: string, { outcomes, total }: Group): Html {
  let x = 0;
  const parts = present(outcomes).map(([outcome, number]) => {
    const width = (1_000 * number) / Math.max(1, total);
    x += width;
    return html`<rect data-outcome="${outcome}" x="${(x - width).toFixed(2)}" y="0" width="${width.toFixed(2)}" height="10"/>`;
  });
  const words = present(outcomes).map(([outcome, number]) => `${outcomeLabel(outcome)} ${count(number)}`);
  const role =
    label === '' ? html`aria-hidden="true"` : html`role="img" aria-label="${label}: ${words.join(', ')}"`;
  return html`<svg class="shares" viewBox="0 0 1000 10" preserveAspectRatio="none" ${role}>${parts}</svg>`;
}

function present(outcomes: ReadonlyMap<OutcomeOrOpen, number>): [OutcomeOrOpen, number][] {
  return OUTCOMES_OR_OPEN.flatMap((outcome) => {
    const number = outcomes.get(outcome);
    return number ? [[outcome, number] satisfies [OutcomeOrOpen, number]] : [];
  });
}

export function mark(outcome: OutcomeOrOpen): Html {
  return html`<span class="mark" data-outcome="${outcome}"></span>`;
}
