import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, createTenant, type Tenant } from '../app.ts';
import { canSomeoneCall } from '../budget/roster.ts';
import { viewBudget } from '../budget/view.ts';
import { findCampaign } from '../campaign/registry.ts';
import { reportCampaign } from '../campaign/report.ts';
import type { CampaignStatus } from '../campaign/status.ts';
import { submitCampaign } from '../campaign/submit.ts';
import { systemClock } from '../clock.ts';
import { readConfig } from '../config.ts';
import { describeDuration } from '../duration.ts';
import { StanddownError } from '../errors.ts';
import { OUTCOME_MEANINGS, OUTCOMES } from '../outcome.ts';
import { closeRedis } from '../redis/connect.ts';
import { startEmbedded } from '../redis/embedded.ts';
import { toCsv } from '../report/lines.ts';
import type { Simulator } from '../simulator/index.ts';
import { count } from '../words/number.ts';
import { type CommandContext, EXIT, widthOf } from './context.ts';
import { startDemoWorker } from './demo-worker.ts';
import { createDemoWorld, type DemoWorld } from './demo-world.ts';
import { followCampaign } from './follow.ts';
import { writeReport } from './report.ts';
import { whole } from './simulate.ts';
import { formatTable } from './table.ts';

export interface DemoOptions {
  realTime: boolean;
  actions: string;
}

/** How often progress is looked at, in ms. */
const LOOK_MS = 250;
/** Lines of what is no terminal come this far apart, in ms. */
const LINE_MS = 2_000;

/** A whole campaign against the simulator: everything real but the API. */
export async function runDemo(context: CommandContext, options: DemoOptions): Promise<number> {
  const { out, log, path, config } = context;
  const dir = join(config.dataDir, 'demo');
  await mkdir(dir, { recursive: true });
  out.note('starting the embedded Redis, the simulator and a worker …');
  const place = await startEmbedded({ dataDir: dir, installDir: config.dataDir, path, log, install: true });
  const world = await createDemoWorld({
    dir,
    actions: whole('--actions', options.actions),
    realTime: options.realTime,
  });
  const settings = { ...world.settings, REDIS_URL: `unix://${place.socketPath}` };
  const redis = await connect(place, 'command', 'demo', log);
  const worker = await startDemoWorker({ dir, env: { ...processBasics(context), ...settings } });
  try {
    const tenant = createTenant(readConfig(settings), redis);
    await out.write(`${introduce(world)}\n`);
    await submitCampaign(tenant, world.campaign, world.ids());
    const status = await follow(context, tenant, world.campaign.name, worker.ended);
    return await conclude(context, { tenant, world, status, dir });
  } finally {
    await worker.stop();
    await closeRedis(redis);
    await world.simulator.stop();
  }
}

function introduce({ speed, limits, simulator }: DemoWorld): string {
  const shortened =
    speed === 1
      ? 'The windows have their real length.'
      : `The windows are shortened ${speed} times: a minute lasts ${60 / speed} s here, an hour ${60 / speed} min.`;
  return [
    `A made-up tenant at ${simulator.apiUrl}, which allows ${limits} calls and refuses every one beyond.`,
    shortened,
  ].join('\n');
}

/** Shows how far the campaign is until it is done. */
function follow(
  context: CommandContext,
  tenant: Tenant,
  name: string,
  workerEnded: AbortSignal,
): Promise<CampaignStatus> {
  const ended = () => new StanddownError('INTERNAL', `the worker ended: ${workerEnded.reason}`);
  const failed = new Promise<never>((_, reject) =>
    workerEnded.addEventListener('abort', () => reject(ended()), { once: true }),
  );
  const followed = (async () => {
    await untilWorking(context, tenant);
    return (await followCampaign(context, tenant, name, { lookMs: LOOK_MS, lineMs: LINE_MS })).status;
  })();
  return Promise.race([followed, failed]);
}

/** The first that is shown is that it works, and not that no worker is there yet. */
async function untilWorking({ stop }: CommandContext, { redis, keys, limits }: Tenant): Promise<void> {
  for (;;) {
    const { now, workers } = await viewBudget(redis, keys, limits);
    if (canSomeoneCall(workers, now)) return;
    await systemClock.sleep(LOOK_MS, stop);
  }
}

interface Ending {
  tenant: Tenant;
  world: DemoWorld;
  status: CampaignStatus;
  dir: string;
}

async function conclude(context: CommandContext, { tenant, world, status, dir }: Ending): Promise<number> {
  const { out } = context;
  const rows = OUTCOMES.filter((outcome) => status.outcomes[outcome]).map((outcome) => [
    outcome,
    count(status.outcomes[outcome] ?? 0),
    OUTCOME_MEANINGS[outcome],
  ]);
  const columns = [{ title: 'outcome' }, { title: 'ids', align: 'right' as const }, { title: '' }];
  const campaign = await findCampaign(tenant.redis, tenant.keys, world.campaign.name);
  const report = join(dir, `${world.campaign.name}.csv`);
  await writeReport(report, { force: true }, toCsv(reportCampaign(tenant, campaign), false), context.stop);
  const witness = describeWitness(world.simulator, world);
  await out.write(
    `\n${formatTable(columns, rows, widthOf(out))}\n\n${witness.text}\nThe report: ${report}\n`,
  );
  return witness.refused === 0 ? EXIT.done : EXIT.failed;
}

/** What the other side counted. */
function describeWitness(
  simulator: Simulator,
  { windows, startedAt }: DemoWorld,
): { text: string; refused: number } {
  const calls = simulator.calls().filter((call) => call.operation === 'cancel').length;
  const refused = simulator.refusals().length;
  const peaks = windows.map(({ max, lengthMs }) => {
    const peak = simulator.peak('cancel', lengthMs);
    return `at most ${peak} in any ${describeDuration(lengthMs)} (limit ${count(max)})`;
  });
  const took = describeDuration(systemClock.monotonic() - startedAt);
  return {
    refused,
    text: `The server counted ${count(calls)} cancels in ${took}: ${peaks.join(', ')}; it refused ${refused}.`,
  };
}

/** What a program needs to run at all; the demo's settings are its own. */
function processBasics({ env }: CommandContext): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TZ', 'SystemRoot', 'TEMP'];
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
