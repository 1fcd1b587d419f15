import { simulate } from './simulate.ts';
import type { Scale } from './tenant.ts';

/* One part of a simulation, in a process of its own: takes what is simulated, and which part, as JSON; answers in JSON. */
const [scale, part] = process.argv.slice(2).map((text) => JSON.parse(text) as unknown) as [
  Scale,
  { at: number; of: number },
];
process.stdout.write(`${JSON.stringify(await simulate(scale, part))}\n`);
