import { describeWindow } from '../../base/duration.ts';
import { count, plural } from '../../base/words/number.ts';
import { type Html, html } from './html.ts';
import type { Summary } from './tally.ts';
import type { RollingCount, Timeline } from './timeline.ts';

type Counted = Pick<Summary, 'timeline' | 'total' | 'tracked' | 'outcomes'>;

const HEIGHT = 120;
/** Room above the limit for its name. */
const HEADROOM = 1.25;

/**
 * Calls against each limit, over time.
 *
 * @param format how times are written; given in ms since 1970.
 */
export function renderTimeline(summary: Counted, format: (ms: number) => string): Html {
  const { timeline } = summary;
  if (timeline === null) {
    return html`<section>
<h2>Calls and limits</h2>
<p class="note">${describeNoCalls(summary)}</p>
</section>`;
  }
  return html`<section>
<h2>Calls and limits</h2>
<p class="note">Counts one call for each finished action, at the time of its answer. Repeated calls, calls refused with 429 and
calls of other campaigns are not included.</p>
${timeline.counts.map((counted) => renderCount(counted, timeline, format))}
</section>`;
}

function describeNoCalls({ total, tracked, outcomes }: Counted): string {
  if (total > 0 && tracked === total)
    return 'This campaign sends no cancels of its own: its actions belong to other campaigns.';
  return outcomes.get('open') ? 'No calls yet.' : 'No finished action of this campaign was called.';
}

function renderCount(counted: RollingCount, { first, last }: Timeline, format: (ms: number) => string): Html {
  const { window, peak, peakAt, parts } = counted;
  const length = describeWindow(window.lengthMs);
  const top = Math.max(window.max * HEADROOM, peak);
  const y = (value: number) => (HEIGHT - (HEIGHT * value) / top).toFixed(1);
  const steps = parts.map((value, index) => `V${y(value)}H${index + 1}`).join('');
  const busiest = `${plural(peak, 'call')} at ${format(peakAt)} (limit ${count(window.max)})`;
  return html`<figure>
<figcaption><strong>Busiest ${length}:</strong> ${busiest}</figcaption>
<div class="plot">
<svg viewBox="0 0 ${parts.length} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="Calls per ${length} over time. Busiest ${length}: ${busiest}">
<path class="area" d="M0 ${HEIGHT}${steps}V${HEIGHT}Z"/>
<path class="limit" d="M0 ${y(window.max)}H${parts.length}"/>
</svg>
<span class="top">limit ${count(window.max)}</span>
</div>
<p class="axis"><span>${format(first)}</span><span>${format(first + (last - first) / 2)}</span><span>${format(last)}</span></p>
</figure>
`;
}
