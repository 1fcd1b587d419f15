/**
 * Run on its own, so that its peak is that of reading alone: `node peak.ts <kind> <bytes>` reads a generated stream and
 * prints a JSON {@link Peak}.
 */
import { Readable } from 'node:stream';
import { readIdBatches } from '../../../src/files/in/id-file.ts';
import { generated, isKind } from './generated.ts';

export interface Peak {
  results: number;
  /** Resident set at its peak, and how much of it is above the start, in MiB. */
  peakMib: number;
  growthMib: number;
}

const MIB = 1024 * 1024;
const [kind = '', bytes] = process.argv.slice(2);
if (!isKind(kind)) throw new TypeError(`unknown kind: ${kind}`);

const startMib = process.memoryUsage.rss() / MIB;
let results = 0;
for await (const batch of readIdBatches(Readable.from(generated(kind, Number(bytes)))))
  results += batch.length;
const peakMib = process.resourceUsage().maxRSS / 1024;
const peak: Peak = { results, peakMib, growthMib: peakMib - startMib };
process.stdout.write(JSON.stringify(peak));
