/* Draws the calls in each window as they come with the page's changes. Its colours are the page's. */
import uPlot from '/assets/uplot.js';

const HEIGHT = 180;
const places = [...document.querySelectorAll('.chart')];
const dark = matchMedia('(prefers-color-scheme: dark)');
let plots = [];
let data = null;

document.addEventListener('standdown:data', ({ detail }) => {
  data = detail;
  if (plots.length === 0) drawAll();
  else
    for (const [index, plot] of plots.entries()) {
      plot.setData(seriesOf(index));
    }
});

dark.addEventListener('change', drawAll);
new ResizeObserver(() => {
  for (const [index, plot] of plots.entries()) plot.setSize(sizeOf(places[index]));
}).observe(document.getElementById('main'));

function drawAll() {
  if (!data) return;
  for (const plot of plots) plot.destroy();
  plots = places.map((place, index) => new uPlot(optionsOf(place, index), seriesOf(index), place));
}

function seriesOf(index) {
  const { times } = data;
  const { used, least, forecast, max, bulkMax } = data.windows[index];
  const flat = (value) => times.map(() => value);
  return [times, used, least, forecast, flat(max), flat(bulkMax)];
}

function sizeOf(place) {
  return { width: Math.max(200, place.clientWidth), height: HEIGHT };
}

function optionsOf(place, index) {
  const { max, bulkMax } = data.windows[index];
  const color = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  };
  const line = (stroke, more = {}) => ({ stroke, width: 1.5, points: { show: false }, ...more });
  return {
    ...sizeOf(place),
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, _least, most) => [0, Math.max(most, max) * 1.08] } },
    axes: [
      { ...axis, values: (_, times) => times.map(clockOf) },
      { ...axis, size: 60 },
    ],
    series: [
      {},
      line(color('--area'), { fill: `${color('--area')}33` }),
      line(color('--area'), { dash: [2, 4] }),
      line(color('--accent'), { dash: [8, 4] }),
      line(color('--limit')),
      line(color('--withdrawn'), { dash: [4, 4], show: bulkMax < max }),
    ],
    hooks: { drawAxes: [(plot) => drawMarks(plot, color)] },
  };
}

function clockOf(seconds) {
  return new Date(seconds * 1000).toTimeString().slice(0, 8);
}

/** Where calls were refused, how long nothing was sent because of it, and where now is. */
function drawMarks(plot, color) {
  const { ctx, bbox } = plot;
  const x = (ms) => {
    const at = plot.valToPos(ms / 1000, 'x', true);
    return Math.min(bbox.left + bbox.width, Math.max(bbox.left, at));
  };
  const upright = (ms) => ctx.fillRect(x(ms), bbox.top, 2, bbox.height);
  ctx.save();
  for (const { at, until } of data.refusals) {
    ctx.fillStyle = `${color('--limit')}33`;
    ctx.fillRect(x(at), bbox.top, Math.max(0, x(until) - x(at)), bbox.height);
    ctx.fillStyle = color('--limit');
    upright(at);
  }
  ctx.fillStyle = color('--muted');
  upright(data.now);
  ctx.restore();
}
