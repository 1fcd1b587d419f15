import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import type { ThreadOrders } from './watchdog.ts';

/* The watchdog's thread, see watchdog.ts. Its output goes straight to the file: the main thread, which usually writes it, hangs. */
const { beats, lookMs, most }: ThreadOrders = workerData;
const count = new Int32Array(beats);
const nobody = new Int32Array(new SharedArrayBuffer(4));

let missed = 0;
for (let before = -1; missed < most; ) {
  Atomics.wait(nobody, 0, 0, lookMs);
  const now = Atomics.load(count, 0);
  missed = now === before ? missed + 1 : 0;
  before = now;
}
const seconds = Math.round((most * lookMs) / 1_000);
writeSync(2, `standdown: the event loop was blocked for ${seconds} s; the watchdog is ending this process\n`);
process.kill(process.pid, 'SIGKILL');
