import type { Random } from '../../src/simulator/random.ts';
import type { Timeline } from './time.ts';
import type { ServerWindow } from './windows.ts';

/** From … to, in ms since 1970. */
export interface Outage {
  from: number;
  to: number;
}

/** Up to two, of 1 to 5 hundredths of the span. */
export function planOutages(random: Random, begin: number, spanMs: number): Outage[] {
  const outages: Outage[] = [];
  const count = Math.floor(3 * random());
  for (let part = 0; part < count; part++) {
    const from = begin + ((part + 0.8 * random()) * spanMs) / 2;
    outages.push({ from, to: from + (0.01 + 0.04 * random()) * spanMs });
  }
  return outages;
}

/** Others use the same application, now and then: up to half of the shortest window's calls. */
export function planOthers(
  timeline: Timeline,
  random: Random,
  windows: readonly ServerWindow[],
  spanMs: number,
  arrive: (at: number) => void,
): void {
  const { max, lengthMs } = windows.reduce((a, b) => (a.lengthMs < b.lengthMs ? a : b));
  const visit = (from: number, ms: number) => {
    const every = lengthMs / (max * (0.1 + 0.4 * random()));
    const until = timeline.now() + from + ms;
    const next = () => {
      arrive(timeline.now());
      const pause = -Math.log(1 - random()) * every;
      if (timeline.now() + pause < until) timeline.after(pause, next);
    };
    timeline.after(from, next);
  };
  for (let part = 0; part < 4; part++)
    visit(((part + random()) * spanMs) / 4, (0.02 + 0.08 * random()) * spanMs);
}
