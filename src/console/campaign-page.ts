import type { Tenant } from '../app.ts';
import { readAudit } from '../campaign/audit.ts';
import { readIds } from '../campaign/ids.ts';
import type { Campaign } from '../campaign/registry.ts';
import { reportIds } from '../campaign/report.ts';
import { statusOf } from '../campaign/status.ts';
import { type Html, html } from '../report/html.ts';
import { ACTIONS, type ActionName } from './actions.ts';
import { renderAudit, renderFacts, renderHead } from './campaign-parts.ts';
import { findByNumber, taskKey } from './find.ts';
import type { Indexes, KnownCampaign } from './indexes.ts';
import { campaignPath } from './parts.ts';
import { type Found, isPlain, readWanted, type Wanted } from './requests.ts';
import { renderSearch, renderTable, type TableInput } from './requests-table.ts';
import { toRow } from './row.ts';
import type { Site, Visit } from './site.ts';
import type { Tasks } from './tasks.ts';
import { trailTo } from './tenant-page.ts';
import type { Directory } from './tenants.ts';
import { live, type View, type Viewer } from './view.ts';

export interface CampaignPageDeps {
  directory: Directory;
  indexes: Indexes;
  tasks: Tasks;
}

/** One campaign: how far it is, what became of its requests, and all of them. */
export function addCampaignPage(site: Site, deps: CampaignPageDeps): void {
  site.view('/t/:tenant/c/:number', (visit) => viewCampaign(deps, visit));
}

async function viewCampaign(deps: CampaignPageDeps, { params, query, viewer }: Visit): Promise<View> {
  const shown = deps.directory.find(params['tenant'] ?? '');
  const { label, tenant } = shown;
  const campaign = await findByNumber(tenant, params['number']);
  const known = deps.indexes.of(shown, campaign.number);
  const wanted = readWanted(query);
  const input: TableInput = { label, campaign, wanted };
  const { budget } = await shown.look();
  const [status, history, found] = await Promise.all([
    statusOf(tenant, campaign, budget),
    readAudit(tenant, campaign.number),
    findRows(tenant, campaign, wanted, known),
  ]);
  const indexed = known.index.now();
  const regions = {
    head: renderHead(status, deps.tasks.of(taskKey(label, campaign.number))),
    actions: renderActions(label, campaign, viewer),
    requests: found
      ? renderTable(input, found)
      : html`<p class="note" role="status">The requests are being read; this takes a moment.</p>`,
    analysis: indexed
      ? known.analyse(indexed, campaign)
      : html`<p class="note">The outcomes by type and reason are being counted.</p>`,
    facts: renderFacts(campaign),
    audit: renderAudit(history),
  };
  return {
    title: campaign.name,
    trail: trailTo(label),
    everyMs: 2_000,
    regions,
    body: html`${live(regions, 'head')}${live(regions, 'actions')}
<section><h2>Requests</h2>
${renderSearch(input, indexed ? typesOf(indexed.rows) : [])}
${live(regions, 'requests')}</section>
${live(regions, 'analysis')}
${live(regions, 'facts')}${live(regions, 'audit')}`,
  };
}

/** Null: they are not known yet. The list itself answers at once, however long it is. */
async function findRows(
  tenant: Tenant,
  campaign: Campaign,
  wanted: Wanted,
  { index, find }: KnownCampaign,
): Promise<Found | null> {
  if (isPlain(wanted)) return readPage(tenant, campaign, wanted);
  const indexed = index.now();
  return indexed && find(indexed, wanted);
}

async function readPage(tenant: Tenant, campaign: Campaign, wanted: Wanted): Promise<Found> {
  const { redis, keys } = tenant;
  const { size } = wanted;
  const total = await redis.llen(keys.ids(campaign.number));
  const pages = Math.max(1, Math.ceil(total / size));
  const page = Math.min(wanted.page, pages);
  const ids = await readIds(redis, keys, campaign.number, (page - 1) * size, size);
  const lines = await reportIds(tenant, campaign, ids);
  return { rows: lines.map((line) => toRow(line, campaign.name)), total, page, pages };
}

function typesOf(rows: Iterable<{ type: string }>): string[] {
  const types = new Set<string>();
  for (const { type } of rows) if (type !== '' && types.size < 100) types.add(type);
  return [...types].sort();
}

function renderActions(label: string, campaign: Campaign, viewer: Viewer): Html {
  const names = Object.keys(ACTIONS) as ActionName[];
  const links = names
    .filter((name) => ACTIONS[name].fits(campaign) && (viewer.mayAct || ACTIONS[name].role === 'read'))
    .map(
      (name) =>
        html`<a class="button" href="${campaignPath(label, campaign.number, name)}">${ACTIONS[name].title}</a>\n`,
    );
  return html`<p class="actions">${links}</p>`;
}
