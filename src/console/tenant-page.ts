import { formatDuration } from '../base/duration.ts';
import { count } from '../base/words/number.ts';
import { type Html, html } from '../files/report/html.ts';
import type { BudgetView } from '../store/budget/view.ts';
import type { Campaign } from '../store/campaign/registry.ts';
import type { CampaignLook } from '../store/campaign/status.ts';
import { renderActive } from './overview.ts';
import {
  at,
  campaignPath,
  renderHolds,
  renderProgress,
  renderState,
  scrolling,
  tenantPath,
} from './parts.ts';
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
    const look = await shown.look();
    const { active, ended } = look;
    const page = readPage(query['page']);
    const regions = {
      windows: html`<section><h2>Calls</h2>${renderWindows(look.budget)}${renderHolds(look, label)}</section>`,
      active: renderUnfinished(label, active),
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
${viewer.mayAct ? html`<a class="button" href="${tenantPath(label, 'submit')}">Submit actions</a>\n` : ''}<a class="button" href="/queues/${encodeURIComponent(label)}/">Queues</a>
</p>`;
}

/** Use of each window. */
export function renderWindows(budget: BudgetView): Html {
  const slowed = (cell: Html) => (budget.pace === null ? html`` : cell);
  const rows = budget.windows.map(
    ({ lengthMs, used, max, allowed, free, reserved }) =>
      html`<tr><th scope="row">${formatDuration(lengthMs)}</th><td class="bar"><progress max="${max}" value="${Math.min(used, max)}" aria-label="calls in ${formatDuration(lengthMs)}"></progress></td><td class="number">${count(used)}</td><td class="number">${count(max)}</td>${slowed(html`<td class="number">${count(allowed)}</td>`)}<td class="number">${count(free)}</td><td class="number">${count(reserved)}</td><td class="number">${count(Math.max(0, free - reserved))}</td></tr>\n`,
  );
  return scrolling(
    'Calls in each window',
    html`<table>
<thead><tr><th scope="col">Window</th><th scope="col"><span class="unseen">Share</span></th><th scope="col" class="number">Used</th><th scope="col" class="number">Limit</th>${slowed(html`<th scope="col" class="number">Allowed now</th>`)}<th scope="col" class="number">Free</th><th scope="col" class="number">Reserved</th><th scope="col" class="number">Available to campaigns</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
  );
}

/** In the order in which they are fed; those that wait for a person apart. */
function renderUnfinished(label: string, active: readonly CampaignLook[]): Html {
  const isPaused = ({ status }: CampaignLook) => status.state === 'paused';
  const list = (title: string, looks: readonly CampaignLook[], none: Html) =>
    html`<section><h2>${title}</h2>${looks.length > 0 ? looks.map((look) => renderActive(label, look)) : none}</section>`;
  const [running, paused] = [active.filter((look) => !isPaused(look)), active.filter(isPaused)];
  return html`${list('Running', running, html`<p class="note">No campaign is running.</p>`)}${paused.length > 0 ? list('Paused', paused, html``) : ''}`;
}

function renderEnded(label: string, ended: readonly CampaignLook[], page: number): Html {
  if (ended.length === 0) return html``;
  const pages = Math.ceil(ended.length / PAGE);
  const rows = ended
    .slice((page - 1) * PAGE, page * PAGE)
    .map(
      ({ campaign, status }) =>
        html`<tr><th scope="row"><a href="${campaignPath(label, campaign.number)}">${campaign.name}</a></th><td>${renderState(status.state)}</td><td class="bar">${renderProgress(campaign.name, status)}</td><td class="number">${count(status.total)}</td><td class="number">${count(status.outcomes.cancelled ?? 0)}</td><td class="time">${campaign.decidedAt === null ? '' : at(campaign.decidedAt)}</td></tr>\n`,
    );
  const to = (number: number, text: string) =>
    number >= 1 && number <= pages ? html`<a class="button" href="?page=${number}">${text}</a>\n` : '';
  return html`<section><h2>Ended</h2>
${scrolling(
  'Ended campaigns',
  html`<table>
<thead><tr><th scope="col">Campaign</th><th scope="col">Status</th><th scope="col"><span class="unseen">Outcomes</span></th><th scope="col" class="number">Total</th><th scope="col" class="number">Cancelled</th><th scope="col">Last outcome</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
)}
${pages > 1 ? html`<nav aria-label="Pages of ended campaigns">${to(page - 1, 'Previous')}<span>Page ${page} of ${pages}</span>${to(page + 1, 'Next')}</nav>` : ''}
</section>`;
}
