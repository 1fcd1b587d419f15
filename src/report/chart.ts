import { describeDuration } from '../duration.ts';
import { count } from '../words/number.ts';
import { formatUtc } from '../words/time.ts';
import { type Html, html } from './html.ts';
import type { RollingCount, Timeline } from './timeline.ts';

const HEIGHT = 120;
/** Room above the limit for its name. */
const HEADROOM = 1.25;

/** How the calls stood against each limit, over time. */
export function renderTimeline(timeline: Timeline | null): Html {
  if (timeline === null) {
    return html`<section>
<h2>Calls against the limits</h2>
<p class="note">No result tells of a call.</p>
</section>`;
  }
  return html`<section>
<h2>Calls against the limits</h2>
<p class="note">This is what the results tell: each counts the one call that decided it, when its answer came. Calls that
were repeated or refused (429), and those of other campaigns, are not among them.</p>
${timeline.counts.map((counted) => renderCount(counted, timeline))}
</section>`;
}

function renderCount(counted: RollingCount, { first, last }: Timeline): Html {
  const { window, peak, peakAt, parts } = counted;
  const length = describeDuration(window.lengthMs);
  const top = Math.max(window.max * HEADROOM, peak);
  const y = (value: number) => (HEIGHT - (HEIGHT * value) / top).toFixed(1);
  const steps = parts.map((value, index) => `V${y(value)}H${index + 1}`).join('');
  const words = `at most ${count(peak)} calls in any ${length} (limit ${count(window.max)}), at ${formatUtc(peakAt)}`;
  return html`<figure>
<figcaption><strong>In any ${length}:</strong> at most ${count(peak)} calls, at ${formatUtc(peakAt)}; the limit is ${count(window.max)}</figcaption>
<div class="plot">
<svg viewBox="0 0 ${parts.length} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="Calls in any ${length}: ${words}">
<path class="area" d="M0 ${HEIGHT}${steps}V${HEIGHT}Z"/>
<path class="limit" d="M0 ${y(window.max)}H${parts.length}"/>
</svg>
<span class="top">limit ${count(window.max)}</span>
</div>
<p class="axis"><span>${formatUtc(first)}</span><span>${formatUtc(first + (last - first) / 2)}</span><span>${formatUtc(last)}</span></p>
</figure>
`;
}
