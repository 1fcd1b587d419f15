import { once } from 'node:events';
import { startWorker, type WorkerOptions } from '../app-worker.ts';
import { systemClock } from '../clock.ts';
import { type CommandContext, EXIT } from './context.ts';

/** Drains until stopped. @throws StanddownError what kept the worker from going on. */
export async function runWorker(context: CommandContext, options: WorkerOptions): Promise<number> {
  const { stop, log } = context;
  const worker = await startWorker(context, options);
  const ending = AbortSignal.any([stop, worker.failed]);
  if (!ending.aborted) await once(ending, 'abort');
  log.info('worker stops: finishing the calls in flight');
  // One that hangs might not be able to stop, either.
  const stopped = worker.stop();
  await (stop.aborted
    ? stopped
    : Promise.race([stopped, systemClock.sleep(2 * context.config.callTimeoutMs)]));
  log.info('worker stopped');
  worker.failed.throwIfAborted();
  return EXIT.done;
}
