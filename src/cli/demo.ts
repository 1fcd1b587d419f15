import { join, relative } from 'node:path';
import { connect, createTenant, type Tenant } from '../app/tenant.ts';
import { systemClock } from '../base/clock.ts';
import { describeDuration, describeWindow } from '../base/duration.ts';
import { StanddownError } from '../base/errors.ts';
import { OUTCOME_MEANINGS, OUTCOMES } from '../base/outcome.ts';
import { ownFolder } from '../base/own-folder.ts';
import { count, plural } from '../base/words/number.ts';
import { readConfig } from '../config/config.ts';
import { renderReport } from '../files/report/formats.ts';
import type { Simulator } from '../simulator/index.ts';
import { canSomeoneCall } from '../store/budget/roster.ts';
import { viewBudget } from '../store/budget/view.ts';
import { findCampaign } from '../store/campaign/registry.ts';
import { reportCampaign } from '../store/campaign/report.ts';
import type { CampaignStatus } from '../store/campaign/status.ts';
import { submitCampaign } from '../store/campaign/submit.ts';
import { closeRedis } from '../store/redis/connect.ts';
import { startEmbedded } from '../store/redis/embedded.ts';
import { type CommandContext, EXIT, widthOf } from './context.ts';
import { startDemoWorker } from './demo-worker.ts';
import { createDemoWorld, type DemoWorld } from './demo-world.ts';
import { followCampaign } from './follow.ts';
import { writeReport } from './report.ts';
import { whole } from './simulate.ts';
import { formatTable } from './table.ts';
import { wrapLines } from './wrap.ts';

export interface DemoOptions {
  realTime: boolean;
  actions: string;
}

/** Between two readings of the progress, in ms. */
const LOOK_MS = 250;
/** Between two lines where the output is not a terminal, in ms. */
const LINE_MS = 2_000;

/** A whole campaign against the simulator: everything real but the API. */
export async function runDemo(context: CommandContext, options: DemoOptions): Promise<number> {
  const { out, log, path, config } = context;
  const actions = whole('--actions', options.actions);
  const dir = join(config.dataDir, 'demo');
  await ownFolder(config.dataDir);
  await ownFolder(dir);
  out.note('Starting Redis, a simulator and a worker …');
  const place = await startEmbedded({ dataDir: dir, installDir: config.dataDir, path, log, install: true });
  const world = await createDemoWorld({ dir, actions, realTime: options.realTime });
  const settings = { ...world.settings, REDIS_URL: `unix://${place.socketPath}` };
  const redis = await connect(place, 'command', 'demo', log);
  const worker = await startDemoWorker({ dir, env: { ...processBasics(context), ...settings } });
  try {
    const tenant = createTenant(readConfig(settings), redis);
    await out.write(`${wrapLines(introduce(world), widthOf(out))}\n\n`);
    await submitCampaign(tenant, world.campaign, world.ids());
    const status = await follow(context, tenant, world.campaign.name, worker.ended);
    return await conclude(context, { tenant, world, status, dir });
  } finally {
    await worker.stop();
    await closeRedis(redis);
    await world.simulator.stop();
  }
}

function introduce({ actions, speed, windows }: DemoWorld): string[] {
  const [minute = '', hour = ''] = windows.map(
    ({ max, lengthMs }) => `${count(max)} calls per ${describeWindow(lengthMs)}`,
  );
  const compared =
    speed === 1 ? "Defender's own limits" : `Defender's limits, ${speed} times faster to keep the demo short`;
  return [
    `This demo cancels ${plural(actions, 'made-up machine action')}. Nothing is sent to Microsoft: the API is a simulator on this machine.`,
    `The simulator refuses every call beyond ${minute} and ${hour} (${compared}).`,
  ];
}

/** Shows the campaign's progress until it is finished. */
function follow(
  context: CommandContext,
  tenant: Tenant,
  name: string,
  workerEnded: AbortSignal,
): Promise<CampaignStatus> {
  const ended = () => new StanddownError('INTERNAL', `the demo's worker ended (${workerEnded.reason})`);
  const failed = new Promise<never>((_, reject) =>
    workerEnded.addEventListener('abort', () => reject(ended()), { once: true }),
  );
  const followed = (async () => {
    await untilWorking(context, tenant);
    return (await followCampaign(context, tenant, name, { lookMs: LOOK_MS, lineMs: LINE_MS })).status;
  })();
  return Promise.race([followed, failed]);
}

/** Waits for the worker, so that the first thing shown is not that no worker is running. */
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
  const columns = [{ title: 'outcome' }, { title: 'actions', align: 'right' as const }, { title: 'meaning' }];
  const report = join(dir, `${tenant.label}.html`);
  await writeDemoReport(context, tenant, world.campaign.name, report);
  const witness = describeWitness(world.simulator, world);
  const lines = [witness.text, '', ...nextSteps(report)];
  await out.write(`\n${formatTable(columns, rows, widthOf(out))}\n\n${wrapLines(lines, widthOf(out))}\n`);
  return witness.refused === 0 ? EXIT.done : EXIT.failed;
}

async function writeDemoReport(
  { stop, version }: CommandContext,
  tenant: Tenant,
  name: string,
  path: string,
): Promise<void> {
  const campaign = await findCampaign(tenant.redis, tenant.keys, name);
  const lines = reportCampaign(tenant, campaign);
  const parts = await renderReport(tenant, campaign, lines, { format: 'html', hasBom: false, version });
  await writeReport(path, { force: true }, parts, stop);
}

function nextSteps(report: string): string[] {
  const fromHere = relative('', report);
  return [
    'What to do next:',
    '  Open the report of this campaign in a browser:',
    `    ${fromHere.startsWith('..') ? report : fromHere}`,
    '  Connect your own tenant: follow "Connect a tenant" in README.md, then run "standdown doctor".',
    '  List the commands with "standdown --help"; in a checkout, with "npm run standdown -- --help".',
  ];
}

/** The calls that the simulator counted. */
function describeWitness(
  simulator: Simulator,
  { windows, startedAt }: DemoWorld,
): { text: string; refused: number } {
  const calls = simulator.calls().filter((call) => call.operation === 'cancel').length;
  const refused = simulator.refusals().length;
  const peaks = windows.map(({ max, lengthMs }) => {
    const peak = simulator.peak('cancel', lengthMs);
    return `at most ${count(peak)} in any ${describeDuration(lengthMs)} (limit ${count(max)})`;
  });
  const took = describeDuration(systemClock.monotonic() - startedAt);
  return {
    refused,
    text: `The simulator counted ${plural(calls, 'cancel call')} in ${took}: ${peaks.join(' and ')}. It refused ${refused === 0 ? 'none' : count(refused)}.`,
  };
}

/** The variables that any program needs. The demo's settings are not taken from the environment. */
function processBasics({ env }: CommandContext): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TZ', 'SystemRoot', 'TEMP'];
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
