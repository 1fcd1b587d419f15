import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Column, formatTable } from '../../src/cli/table.ts';
import { ROOT } from '../support/processes.ts';
import { byKind, FULL, type SimulatedFleet, type Summary, simulateFleet } from './fleet.ts';
import type { Scale } from './tenant.ts';

/*
 * `npm run scale`: 100 tenants with 20,000 requests each, in simulated time. Real are the scripts in a real Redis whose clock
 * is set, the ledger, the budget's memory, the gate, the way of a request, and what it decides from answers. Simulated are
 * time, the network, the API (a model, with windows of its own), and BullMQ (a queue with its holds, delays and stalls).
 * Ends with 1 when something happened that must not. The same seed, the same run.
 *
 *   -- --tenants 10 --requests 2000 --seed 7
 *   -- --broken limits   one worker of each tenant has limits a tenth too high: this has to be found
 *   -- --broken slots    one worker of each tenant gives back the slots of lost calls: as well
 */
const { values } = parseArgs({
  options: {
    tenants: { type: 'string', default: String(FULL.tenants) },
    requests: { type: 'string', default: String(FULL.requests) },
    seed: { type: 'string', default: String(FULL.seed) },
    broken: { type: 'string' },
  },
});

const COLUMNS: readonly Column[] = [
  { title: 'application' },
  ...[
    'tenants',
    'requests',
    'ended once',
    'calls',
    'of those possible',
    'over ideal',
    'at most',
    'refused',
    'over a window',
    'repeated',
    'crashes',
    'outages',
    'late',
    'lost',
  ].map((title) => ({ title, align: 'right' as const })),
];

function row(name: string, summary: Summary): string[] {
  const count = (value: number) => value.toLocaleString('en-US');
  const { over, use } = summary;
  return [
    name,
    count(summary.tenants),
    count(summary.requests),
    count(summary.ended),
    count(summary.calls),
    `${(100 * use).toFixed(2)} %`,
    over.median.toFixed(4),
    over.most.toFixed(4),
    count(summary.refused),
    count(summary.excess),
    count(summary.repeats),
    count(summary.crashes),
    count(summary.outages),
    count(summary.late),
    count(summary.lost),
  ];
}

function show({ seconds, simulatedMs, scripts, tenants }: SimulatedFleet): void {
  const { alone, shared } = byKind({ tenants });
  const rows = [row('its own', alone), ...(shared.tenants > 0 ? [row('shared with others', shared)] : [])];
  process.stdout.write(`${formatTable(COLUMNS, rows)}\n`);
  process.stdout.write(
    `${(simulatedMs / 3_600_000).toFixed(1)} h simulated in ${seconds.toFixed(0)} s, ${scripts.toLocaleString('en-US')} commands and scripts\n`,
  );
  for (const { index, violated, violations } of tenants.filter((tenant) => tenant.violated > 0)) {
    process.stdout.write(`tenant ${index}, ${violated} times: ${violations.join('; ')}\n`);
  }
}

const scale: Scale = {
  ...FULL,
  tenants: Number(values.tenants),
  requests: Number(values.requests),
  seed: Number(values.seed),
};
if (values.broken === 'limits' || values.broken === 'slots') scale.broken = values.broken;
else if (values.broken !== undefined) throw new Error('--broken limits or --broken slots');
const fleet = await simulateFleet(scale);
show(fleet);
const dir = join(ROOT, 'bench-results');
await mkdir(dir, { recursive: true });
const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}`;
await writeFile(join(dir, 'scale.json'), `${JSON.stringify({ machine, scale, raw: fleet }, null, 2)}\n`);
process.exitCode = fleet.tenants.some(({ violated }) => violated > 0) ? 1 : 0;
