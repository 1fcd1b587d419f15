import type { BudgetView } from '../budget/view.ts';
import type { Campaign } from '../campaign/registry.ts';
import type { CampaignLook } from '../campaign/status.ts';
import { formatDuration } from '../duration.ts';
import { type Html, html } from '../report/html.ts';
import { count } from '../words/number.ts';
import { renderActive } from './overview.ts';
import { at, campaignPath, renderHolds, renderProgress, scrolling, tenantPath } from './parts.ts';
import { readPage } from './requests.ts';
import type { Site } from './site.ts';
import type { Directory } from './tenants.ts';
import { type Link, live, type Viewer } from './view.ts';

/** Ended campaigns on one page. */
const PAGE = 50;

/** One tenant: its windows, its holds, its campaigns. */
export function addTenantPage(site: Site, directory: Directory): void {
  site.view('/t/:tenant', async ({ params, query, viewer }) => {
    const shown = directory.find(params['tenant'] ?? '');
    const { label } = shown;
    const { budget, active, ended } = await shown.look();
    const page = readPage(query['page']);
    const regions = {
      windows: html`<section><h2>Calls</h2>${renderWindows(budget)}${renderHolds(budget, label)}</section>`,
      active: html`<section><h2>At work</h2>${active.length > 0 ? active.map((one) => renderActive(label, one)) : html`<p class="note">Nothing is open.</p>`}</section>`,
      ended: renderEnded(label, ended, page),
    };
    return {
      title: label,
      trail: trailTo(),
      everyMs: 2_000,
      regions,
      body: html`${renderLinks(label, viewer)}${live(regions, 'windows')}${live(regions, 'active')}${live(regions, 'ended')}`,
    };
  });
}

/** Links above a page of a tenant, or of one of its campaigns. */
export function trailTo(label?: string, campaign?: Pick<Campaign, 'name' | 'number'>): Link[] {
  const trail = [{ href: '/', text: 'Overview' }];
  if (label !== undefined) trail.push({ href: tenantPath(label), text: label });
  if (label !== undefined && campaign) {
    trail.push({ href: campaignPath(label, campaign.number), text: campaign.name });
  }
  return trail;
}

function renderLinks(label: string, viewer: Viewer): Html {
  return html`<p class="actions">
<a class="button" href="${tenantPath(label, 'budget')}">Budget</a>
${viewer.mayAct ? html`<a class="button" href="${tenantPath(label, 'submit')}">Submit ids</a>\n` : ''}<a class="button" href="/queues/${encodeURIComponent(label)}/">Queues</a>
</p>`;
}

/** Use of each window. */
export function renderWindows(budget: BudgetView): Html {
  const rows = budget.windows.map(
    ({ lengthMs, used, max, free, reserved }) =>
      html`<tr><th scope="row">${formatDuration(lengthMs)}</th><td class="bar"><progress max="${max}" value="${Math.min(used, max)}" aria-label="calls in ${formatDuration(lengthMs)}"></progress></td><td class="number">${count(used)}</td><td class="number">${count(max)}</td><td class="number">${count(free)}</td><td class="number">${reserved > 0 ? count(reserved) : ''}</td></tr>\n`,
  );
  return scrolling(
    'Calls in each window',
    html`<table>
<thead><tr><th scope="col">In any</th><th scope="col"><span class="unseen">Share</span></th><th scope="col" class="number">used</th><th scope="col" class="number">limit</th><th scope="col" class="number">free</th><th scope="col" class="number">kept for urgent</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
  );
}

function renderEnded(label: string, ended: readonly CampaignLook[], page: number): Html {
  if (ended.length === 0) return html``;
  const pages = Math.ceil(ended.length / PAGE);
  const rows = ended
    .slice((page - 1) * PAGE, page * PAGE)
    .map(
      ({ campaign, status }) =>
        html`<tr><th scope="row"><a href="${campaignPath(label, campaign.number)}">${campaign.name}</a></th><td><span class="state" data-state="${status.state}">${status.state}</span></td><td class="bar">${renderProgress(campaign.name, status)}</td><td class="number">${count(status.total)}</td><td class="number">${count(status.outcomes.cancelled ?? 0)}</td><td class="time">${campaign.decidedAt === null ? '' : at(campaign.decidedAt)}</td></tr>\n`,
    );
  const to = (number: number, text: string) =>
    number >= 1 && number <= pages ? html`<a class="button" href="?page=${number}">${text}</a>\n` : '';
  return html`<section><h2>Ended</h2>
${scrolling(
  'Campaigns that have ended',
  html`<table>
<thead><tr><th scope="col">Campaign</th><th scope="col">State</th><th scope="col"><span class="unseen">Outcomes</span></th><th scope="col" class="number">ids</th><th scope="col" class="number">cancelled</th><th scope="col">last outcome</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
)}
${pages > 1 ? html`<nav aria-label="Pages of ended campaigns">${to(page - 1, 'Previous')}<span>page ${page} of ${pages}</span>${to(page + 1, 'Next')}</nav>` : ''}
</section>`;
}
