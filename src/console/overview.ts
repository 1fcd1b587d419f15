import { count, plural } from '../base/words/number.ts';
import { type Html, html } from '../files/report/html.ts';
import type { CampaignLook } from '../store/campaign/status.ts';
import {
  campaignPath,
  describeProgress,
  renderEta,
  renderHold,
  renderHolds,
  renderOutcomeCounts,
  renderProgress,
  renderState,
  tenantPath,
} from './parts.ts';
import type { Site, Visit } from './site.ts';
import type { TenantLook } from './tenant-look.ts';
import type { Directory, ShownTenant } from './tenants.ts';
import { live, type View } from './view.ts';

/** Campaigns of one tenant that are shown on the overview. */
const MOST_SHOWN = 5;

const MOST_PAUSE_MS = 15_000;

type Seen = { shown: ShownTenant } & ({ look: TenantLook } | { look: null; problem: string });

/** All tenants at a glance, those in trouble first. */
export function addOverview(site: Site, directory: Directory): void {
  site.view('/', (visit) => viewOverview(site, directory, visit));
}

async function viewOverview(site: Site, directory: Directory, { query }: Visit): Promise<View> {
  const startedAt = performance.now();
  const all = await Promise.all(directory.all().map((shown) => see(site, shown)));
  const tookMs = performance.now() - startedAt;
  const search = (query['q'] ?? '').trim().toLowerCase();
  const show = query['show'] ?? 'all';
  const found = all.filter((seen) => matches(seen, search) && isShown(seen, show));
  found.sort((one, other) => rankOf(other) - rankOf(one));
  const regions = { summary: renderCounts(all), tenants: renderTenants(found) };
  return {
    title: 'Overview',
    // Hundreds of tenants at work take a while to read: no more than a tenth of the time goes into it.
    everyMs: Math.min(MOST_PAUSE_MS, Math.max(2_000, 10 * tookMs)),
    regions,
    body: html`${live(regions, 'summary')}
${all.length > 1 ? renderFilter(query['q'] ?? '', show) : ''}
${live(regions, 'tenants')}`,
  };
}

async function see({ describe }: Site, shown: ShownTenant): Promise<Seen> {
  try {
    return { shown, look: await shown.look() };
  } catch (error) {
    return { shown, look: null, problem: describe(error) };
  }
}

function matches({ shown, look }: Seen, search: string): boolean {
  if (search === '') return true;
  const names = look ? [...look.active, ...look.ended].map(({ campaign }) => campaign.name) : [];
  return [shown.label, ...names].some((name) => name.toLowerCase().includes(search));
}

function isShown({ look }: Seen, show: string): boolean {
  if (show === 'trouble') return look === null || look.trouble > 0;
  return show !== 'active' || look === null || look.active.length > 0;
}

/** Trouble first, then what is at work; the rest as the file of tenants has it. */
function rankOf({ look }: Seen): number {
  return look === null ? 10 : 2 * look.trouble + (look.active.length > 0 ? 1 : 0);
}

function renderCounts(all: readonly Seen[]): Html {
  const looks = all.flatMap(({ look }) => (look ? [look] : []));
  const open = looks.flatMap(({ active }) => active).reduce((sum, { campaign }) => sum + campaign.open, 0);
  const campaigns = looks.flatMap(({ active }) => active).map(({ status }) => status.state);
  const of = (state: string) => campaigns.filter((one) => one === state).length;
  const trouble = all.filter(({ look }) => look === null || look.trouble > 0).length;
  const words = [
    plural(all.length, 'tenant'),
    `${plural(of('running'), 'campaign')} running`,
    ...(of('paused') > 0 ? [`${count(of('paused'))} paused`] : []),
    `${plural(open, 'action')} pending`,
    trouble > 0 ? `${count(trouble)} with problems` : 'no problems',
  ];
  return html`<p class="lead">${words.join(' · ')}</p>`;
}

function renderFilter(search: string, show: string): Html {
  const choices = [
    ['all', 'all'],
    ['active', 'running'],
    ['trouble', 'with problems'],
  ].map(([value = '', text = '']) =>
    value === show
      ? html`<option value="${value}" selected>${text}</option>`
      : html`<option value="${value}">${text}</option>`,
  );
  return html`<form method="get" action="/" role="search" class="filter">
<div><label for="q">Tenant or campaign</label><input id="q" name="q" type="search" value="${search}"></div>
<div><label for="show">Tenants</label><select id="show" name="show">${choices}</select></div>
<div><button>Apply</button></div>
</form>`;
}

function renderTenants(found: readonly Seen[]): Html {
  if (found.length === 0) return html`<section><p>No matching tenants.</p></section>`;
  const [idle, others] = [found.filter(isIdle), found.filter((seen) => !isIdle(seen))];
  return html`${others.map(renderTenant)}${idle.length > 0 ? renderIdle(idle) : ''}`;
}

function isIdle({ look }: Seen): boolean {
  return look !== null && look.active.length === 0;
}

/** Those of whom there is nothing to say, close together: there may be hundreds. */
function renderIdle(idle: readonly Seen[]): Html {
  const items = idle.map(
    ({ shown: { label }, look }) =>
      html`<li><a href="${tenantPath(label)}">${label}</a> <span class="note">${plural(look?.ended.length ?? 0, 'campaign')}</span></li>\n`,
  );
  return html`<section id="idle"><h2>No pending actions</h2><ul class="idle">${items}</ul></section>`;
}

function renderTenant(seen: Seen): Html {
  const { label } = seen.shown;
  const head = html`<h2><a href="${tenantPath(label)}">${label}</a></h2>`;
  if (seen.look === null) {
    return html`<section class="tenant trouble" id="tenant-${label}">${head}<p class="problem">${seen.problem}</p></section>\n`;
  }
  const { look } = seen;
  const more = look.active.length - MOST_SHOWN;
  return html`<section class="${look.trouble > 0 ? 'tenant trouble' : 'tenant'}" id="tenant-${label}">
${head}
${renderHolds(look, label)}
${look.active.slice(0, MOST_SHOWN).map((one) => renderActive(label, one))}
<p class="note">${more > 0 ? `${count(more)} more running, ` : ''}${plural(look.ended.length, 'campaign')} ended</p>
</section>
`;
}

/** A campaign with pending actions. */
export function renderActive(label: string, { campaign, status }: CampaignLook): Html {
  const own = status.hold?.reason === 'paused' ? status.hold : null;
  return html`<div class="campaign" id="campaign-${label}-${campaign.number}">
<p><a href="${campaignPath(label, campaign.number)}">${campaign.name}</a> ${renderState(status.state)} ${describeProgress(status)}${renderEta(status)}</p>
${renderProgress(campaign.name, status)}
${renderOutcomeCounts(status)}
${own ? html`<p>${renderHold(own)}</p>` : ''}
</div>
`;
}
