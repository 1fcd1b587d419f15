import { startWorker, type WorkerOptions } from '../app-worker.ts';
import { type CommandContext, EXIT } from './context.ts';

/** Drains until stopped. */
export async function runWorker(context: CommandContext, options: WorkerOptions): Promise<number> {
  const { stop, log } = context;
  const worker = await startWorker(context, options);
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  log.info('worker stops: finishing the calls in flight');
  await worker.stop();
  log.info('worker stopped');
  return EXIT.done;
}
