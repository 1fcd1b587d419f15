import type { Tenant } from '../app/tenant.ts';
import { type Html, html } from '../files/report/html.ts';
import { readAudit } from '../store/campaign/audit.ts';
import { readIds } from '../store/campaign/ids.ts';
import type { Campaign } from '../store/campaign/registry.ts';
import { reportIds } from '../store/campaign/report.ts';
import { type CampaignLook, lookAt } from '../store/campaign/status.ts';
import { ACTIONS, type ActionName } from './actions.ts';
import { MOST_HISTORY, renderAudit, renderFacts, renderHead } from './campaign-parts.ts';
import { findByNumber, taskKey } from './find.ts';
import { type Indexes, type KnownCampaign, whyNotIndexed } from './indexes.ts';
import { campaignPath } from './parts.ts';
import { type Found, isPlain, placeOf, readWanted, type Wanted } from './requests.ts';
import { renderSearch, renderTable, type TableInput } from './requests-table.ts';
import { toRow } from './row.ts';
import type { Searches } from './searches.ts';
import type { Site, Visit } from './site.ts';
import type { Tasks } from './tasks.ts';
import { trailTo } from './tenant-page.ts';
import type { Directory } from './tenants.ts';
import { live, type View, type Viewer } from './view.ts';

/** Longer the page does not wait for the sums of its actions, in ms: it shows them when they are known. */
const READ_MS = 500;

export interface CampaignPageDeps {
  directory: Directory;
  indexes: Indexes;
  tasks: Tasks;
  searches: Searches;
}

/** One campaign: its progress, the sums of its outcomes, and all its actions. */
export function addCampaignPage(site: Site, deps: CampaignPageDeps): void {
  site.view('/t/:tenant/c/:number', (visit) => viewCampaign(site, deps, visit));
}

async function viewCampaign(
  site: Site,
  deps: CampaignPageDeps,
  { params, query, viewer }: Visit,
): Promise<View> {
  const shown = deps.directory.find(params['tenant'] ?? '');
  const { label, tenant } = shown;
  // The tenant's own look is for the history of its budget: whoever watches this page sees refusals come and go, too.
  const found = await findByNumber(tenant, params['number']);
  const [{ campaign, status, budget }, rows] = await Promise.all([
    lookAt(tenant, found),
    tenant.redis.llen(tenant.keys.ids(found.number)),
    shown.look(),
  ]);
  const known = deps.indexes.of(shown, campaign.number, rows);
  const wanted = readWanted(query);
  const input: TableInput = { label, campaign, wanted };
  const [history, shownRows] = await Promise.all([
    readAudit(tenant, campaign.number, MOST_HISTORY),
    findRows(tenant, { campaign, wanted, known, viewer, searches: deps.searches }),
  ]);
  const indexed = typeof known === 'string' ? null : await known.index.soon(READ_MS);
  const regions = {
    head: renderHead({ status, budget, tenant: label }, deps.tasks.of(taskKey(label, campaign.number))),
    actions: renderActions(label, { campaign, status }, viewer),
    requests: shownRows
      ? renderTable(input, shownRows)
      : html`<p class="note" role="status">${whyNotIndexed(site, known) ?? 'Reading the actions. This takes a moment.'}</p>`,
    analysis:
      indexed && typeof known !== 'string'
        ? known.analyse(indexed, campaign)
        : html`<p class="note">${whyNotIndexed(site, known) ?? 'Counting outcomes by type and reason.'}</p>`,
    facts: renderFacts(campaign),
    audit: renderAudit(history),
  };
  return {
    title: campaign.name,
    trail: trailTo(label),
    everyMs: 2_000,
    regions,
    body: html`${live(regions, 'head')}${live(regions, 'actions')}
<section><h2>Actions</h2>
${renderSearch(input, indexed ? typesOf(indexed.rows) : [])}
${live(regions, 'requests')}</section>
${live(regions, 'analysis')}
${live(regions, 'facts')}${live(regions, 'audit')}`,
  };
}

interface Finding {
  campaign: Campaign;
  wanted: Wanted;
  known: KnownCampaign | string;
  viewer: Viewer;
  searches: Searches;
}

/** Null: they are not known yet. The list itself answers at once, however long it is. */
async function findRows(
  tenant: Tenant,
  { campaign, wanted, known, viewer, searches }: Finding,
): Promise<Found | null> {
  if (isPlain(wanted)) return readPage(tenant, campaign, wanted);
  if (typeof known === 'string') return null;
  const indexed = known.index.now();
  if (!indexed) return null;
  return (
    known.find.found(indexed, wanted) ??
    searches(viewer, () => known.find.found(indexed, wanted) ?? known.find.search(indexed, wanted))
  );
}

async function readPage(tenant: Tenant, campaign: Campaign, wanted: Wanted): Promise<Found> {
  const { redis, keys } = tenant;
  const { size } = wanted;
  const total = await redis.llen(keys.ids(campaign.number));
  const { page, pages, start } = placeOf(total, wanted);
  const ids = await readIds(redis, keys, campaign.number, start, size);
  const lines = await reportIds(tenant, campaign, ids);
  return { rows: lines.map((line) => toRow(line, campaign.name)), total, all: total, page, pages };
}

function typesOf(rows: Iterable<{ type: string }>): string[] {
  const types = new Set<string>();
  for (const { type } of rows) if (type !== '' && types.size < 100) types.add(type);
  return [...types].sort();
}

function renderActions(label: string, look: CampaignLook, viewer: Viewer): Html {
  const names = Object.keys(ACTIONS) as ActionName[];
  const links = names
    .filter((name) => ACTIONS[name].fits(look) && (viewer.mayAct || ACTIONS[name].role === 'read'))
    .map(
      (name) =>
        html`<a class="button" href="${campaignPath(label, look.campaign.number, name)}">${ACTIONS[name].title}</a>\n`,
    );
  return html`<p class="actions">${links}</p>`;
}
