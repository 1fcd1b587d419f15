import { main } from '../../src/cli/main.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { TIMINGS_VARIABLE } from './timings.ts';

/* Standdown with the timings of a test: the one way to other ones than production's in a process of its own. Not in the package. */

await main({ timings: { ...TIMINGS, ...JSON.parse(process.env[TIMINGS_VARIABLE] ?? '{}') } });
