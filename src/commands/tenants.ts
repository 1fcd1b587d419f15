import { unwatchFile, watchFile } from 'node:fs';
import type { Config } from '../config.ts';
import { messageOf } from '../errors.ts';
import type { Changes } from '../fleet.ts';
import { readTenants } from '../tenants-file.ts';
import type { CommandContext } from './context.ts';

/** How often the file is looked at, in ms. Asked by path, so that a link that is turned is noticed, too. */
const LOOK_MS = 1_000;

type Context = Pick<CommandContext, 'env' | 'log' | 'onHangup'>;

/** What works for tenants. */
export interface TakesTenants {
  /** Makes these its tenants. */
  set(configs: readonly Config[]): Promise<Changes>;
}

/**
 * Gives a worker or a console its tenants: those in the file now, and anew whenever the file changes or the process gets a SIGHUP. A
 * file that is not right changes nothing but the log.
 *
 * @throws StanddownError CONFIG_INVALID when it is not right at the beginning.
 */
export async function followTenants({ env, log, onHangup }: Context, path: string, worker: TakesTenants) {
  let configs: readonly Config[] = await readTenants(path, env);
  await worker.set(configs);
  log.info({ tenants: configs.length, file: path }, 'tenants');
  let reading: Promise<void> = Promise.resolve();

  async function readAgain(): Promise<void> {
    try {
      configs = await readTenants(path, env);
      const { added, changed, removed } = await worker.set(configs);
      log.info({ tenants: configs.length, added, changed, removed }, 'tenants read again');
    } catch (error) {
      log.error({ err: messageOf(error) }, 'tenants stay as they are: their file is not right');
    }
  }

  const readNext = () => {
    reading = reading.then(readAgain);
  };
  watchFile(path, { interval: LOOK_MS }, readNext);
  const offHangup = onHangup(readNext);
  return {
    /** The longest CALL_TIMEOUT among them, in ms. */
    longestCallMs: () => Math.max(...configs.map(({ callTimeoutMs }) => callTimeoutMs)),
    unfollow: () => {
      unwatchFile(path, readNext);
      offHangup();
    },
  };
}
