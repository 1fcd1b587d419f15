import { describeDuration, describeWindow } from '../base/duration.ts';
import { count } from '../base/words/number.ts';
import { type Html, html } from '../files/report/html.ts';
import { hasForecast, outlookOfAll } from '../store/campaign/forecast.ts';
import { type BudgetChart, chartBudget } from './budget-chart.ts';
import { at, renderHolds } from './parts.ts';
import type { Site } from './site.ts';
import { renderWindows, trailTo } from './tenant-page.ts';
import type { Directory } from './tenants.ts';
import { live } from './view.ts';

/** A tenant's calls against its limits, past and expected. */
export function addBudgetPage(site: Site, directory: Directory): void {
  site.view('/t/:tenant/budget', async ({ params }) => {
    const shown = directory.find(params['tenant'] ?? '');
    const { tenant, label } = shown;
    const look = await shown.look();
    const { budget, past, waiting } = look;
    const isKnown = hasForecast(budget);
    const chart = chartBudget(tenant.limits, past, {
      ...outlookOfAll(tenant.limits, budget, waiting),
      isKnown,
    });
    const regions = {
      windows: html`<section><h2>Calls</h2>${renderWindows(budget)}${renderHolds(look, label)}</section>`,
      refusals: renderRefusals(chart),
    };
    return {
      title: 'Budget',
      trail: trailTo(label),
      everyMs: 2_000,
      scripts: ['chart.js'],
      styles: ['uplot.css'],
      data: chart,
      regions,
      body: html`${live(regions, 'windows')}
<section><h2>Calls in each rolling window</h2>
<p class="note">The last ${describeDuration(spanOf(chart))}, and the forecast for the next ${describeDuration(spanOf(chart))} (dashed). Calls above the line “available to campaigns” are reserved for urgent requests. There is no forecast while no worker can call. Times are those of this browser.</p>
<noscript><p>The chart needs JavaScript. The table above shows the current numbers.</p></noscript>
${chart.windows.map(renderFigure)}
<ul class="keys"><li><span class="key used"></span>calls</li><li><span class="key least"></span>at least (older calls are not kept)</li><li><span class="key forecast"></span>forecast</li><li><span class="key limit"></span>limit</li><li><span class="key bulk"></span>available to campaigns</li><li><span class="key refusal"></span>refused (429) and waiting</li></ul>
</section>
${live(regions, 'refusals')}`,
    };
  });
}

function spanOf({ windows }: BudgetChart): number {
  return Math.max(...windows.map(({ lengthMs }) => lengthMs));
}

function renderFigure({ lengthMs, max, bulkMax }: BudgetChart['windows'][number], index: number): Html {
  const reserve = bulkMax < max ? `, ${count(max - bulkMax)} of them reserved for urgent requests` : '';
  const words = `At most ${count(max)} calls in any ${describeWindow(lengthMs)}${reserve}`;
  return html`<figure><figcaption>${words}</figcaption><div class="chart" data-window="${index}" role="img" aria-label="${words}: chart over time"></div></figure>\n`;
}

function renderRefusals({ refusals }: BudgetChart): Html {
  if (refusals.length === 0)
    return html`<section><h2>Refusals</h2><p class="note">No refusals (429) recorded in this period.</p></section>`;
  const items = refusals.map(
    ({ at: time, until }) =>
      html`<li>Refused at ${at(time)}. No calls until ${at(Math.max(time, until))}.</li>\n`,
  );
  return html`<section><h2>Refusals</h2><p class="note">Redis keeps the latest refusal only. Earlier ones are listed if this console was running at the time.</p><ul>${items}</ul></section>`;
}
