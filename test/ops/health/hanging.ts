import { setTimeout as delay } from 'node:timers/promises';
import { watchEventLoop } from '../../../src/ops/health/watchdog.ts';

/* A process with a watchdog of a second: works for a while, then hangs, if it is told to. */
watchEventLoop(1_000);
process.stdout.write('watched\n');
const turns = Number(process.argv[2]);
for (let turn = 0; turn < turns; turn++) await delay(50);
process.stdout.write('worked\n');
if (process.argv[3] === 'hang') for (;;);
