import { once } from 'node:events';
import { startFleet, startWorker, type Worker, type WorkerOptions } from '../app/worker.ts';
import { systemClock } from '../base/clock.ts';
import { TIMINGS } from '../config/timings.ts';
import { type CommandContext, EXIT } from './context.ts';
import { type Following, followTenants, type TakesTenants } from './tenants.ts';

export interface RunWorkerOptions extends WorkerOptions {
  /** Whether to start the console, too. Default false. */
  console?: boolean;
}

/**
 * Processes queued cancels until stopped: for one tenant, or for all in TENANTS_FILE unless one is named.
 *
 * @throws StanddownError why the worker could not continue.
 */
export async function runWorker(context: CommandContext, options: RunWorkerOptions): Promise<number> {
  const served = options.console ? await (await import('./console.ts')).serveConsole(context) : null;
  try {
    return await runTenants(context, options, served);
  } finally {
    await served?.stop();
  }
}

async function runTenants(
  context: CommandContext,
  options: WorkerOptions,
  served: TakesTenants | null,
): Promise<number> {
  const { config, env } = context;
  if (config.tenantsFile === null || env['STANDDOWN_TENANT']) {
    const hungUp = new AbortController();
    context.onHangup(() => hungUp.abort());
    const worker = await startWorker(context, options);
    await served?.set([config]);
    return work(context, worker, hungUp.signal);
  }
  let following: Following | null = null;
  let isAsked = false;
  context.onHangup(() => {
    isAsked = true;
    following?.again();
  });
  const worker = await startFleet(context, options);
  const both: TakesTenants = {
    set: async (configs) => {
      await served?.set(configs);
      return worker.set(configs);
    },
  };
  try {
    following = await followTenants(context, config.tenantsFile, both);
  } catch (error) {
    await worker.stop();
    throw error;
  }
  if (isAsked) following.again();
  return work(context, worker, null, following);
}

async function work(
  { stop, log, config, timings = TIMINGS }: CommandContext,
  worker: Worker,
  hungUp: AbortSignal | null,
  following: Following | null = null,
) {
  const ending = AbortSignal.any([stop, worker.failed, ...(hungUp ? [hungUp] : [])]);
  if (!ending.aborted) await once(ending, 'abort');
  following?.stop();
  log.info('worker stopping: finishing the calls in flight');
  // While Redis is away, or when a loop of BullMQ hangs, stopping may take forever. Nothing is lost by not waiting: other workers
  // take over the calls that are not recorded, as they do from a worker that was killed.
  const waiting = new AbortController();
  const callMs = following?.longestCallMs() ?? config.callTimeoutMs;
  const isStopped = await Promise.race([
    worker.stop().then(() => true),
    systemClock.sleep(callMs + timings.stopGraceMs, waiting.signal).then(() => false),
  ]).finally(() => waiting.abort());
  if (isStopped) log.info('worker stopped');
  else log.warn('worker stopped before everything was recorded: check that Redis is reachable');
  worker.failed.throwIfAborted();
  return EXIT.done;
}
