import { unwatchFile, watchFile } from 'node:fs';
import { longestMs } from '../budget/windows.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import { messageOf, StanddownError } from '../errors.ts';
import type { Changes } from '../fleet-changes.ts';
import { applicationOf, readTenants } from '../tenants-file.ts';
import { TIMINGS } from '../timings.ts';
import type { CommandContext } from './context.ts';

type Context = Pick<CommandContext, 'env' | 'log' | 'timings'>;

export interface Following {
  /** The longest CALL_TIMEOUT among them, in ms. */
  longestCallMs(): number;
  /** Reads the file again. */
  again(): void;
  stop(): void;
}

/** What works for tenants. */
export interface TakesTenants {
  /** Makes these its tenants. */
  set(configs: readonly Config[]): Changes | Promise<Changes>;
}

/**
 * Gives a worker or a console its tenants: those in the file now, and anew whenever the file changes. A file that is not right
 * changes nothing but the log.
 *
 * @param purpose for what: only looking takes no secrets, and no care for what still counts.
 * @throws StanddownError CONFIG_INVALID when it is not right at the beginning.
 */
export async function followTenants(
  { env, log, timings = TIMINGS }: Context,
  path: string,
  worker: TakesTenants,
  purpose: 'calls' | 'looks' = 'calls',
): Promise<Following> {
  const labels = createLabels(() => systemClock.monotonic());
  let configs: readonly Config[] = [];
  let reading: Promise<void> = Promise.resolve();
  let isOver = false;

  async function read() {
    const next = await readTenants(path, env, purpose === 'calls' ? 'complain' : 'leave out');
    if (purpose === 'calls') labels.check(next, configs);
    configs = next;
    return worker.set(configs);
  }

  async function readAgain(): Promise<void> {
    if (isOver) return;
    try {
      const { added, changed, removed } = await read();
      log.info({ tenants: configs.length, added, changed, removed }, 'tenants read again');
    } catch (error) {
      log.error({ err: messageOf(error) }, 'tenants stay as they are: their file is not right');
    }
  }

  const again = () => {
    reading = reading.then(readAgain);
  };
  const stop = () => {
    isOver = true;
    unwatchFile(path, again);
  };
  // Before it is read: what changes in between would be missed. By path, so that a link that is turned is noticed, too.
  watchFile(path, { interval: timings.tenantsLookMs }, again);
  try {
    await read();
  } catch (error) {
    stop();
    throw error;
  }
  log.info({ tenants: configs.length, file: path }, 'tenants');
  return { longestCallMs: () => Math.max(...configs.map(({ callTimeoutMs }) => callTimeoutMs)), again, stop };
}

/**
 * The labels that applications have had in this process. Another one would be another budget, and an empty one: as many calls
 * again, while those of the first still count.
 */
function createLabels(now: () => number) {
  const left = new Map<string, { label: string; countsUntil: number }>();
  return {
    /** @throws StanddownError CONFIG_INVALID when an application is to have another label than just now. */
    check: (next: readonly Config[], before: readonly Config[]): void => {
      for (const { tenant, signIn, limits } of before) {
        if (!signIn || tenant === null) continue;
        left.set(applicationOf(signIn), { label: tenant, countsUntil: now() + longestMs(limits.windows) });
      }
      const mistakes = next.flatMap(({ tenant, signIn }) => {
        const known = signIn && left.get(applicationOf(signIn));
        if (!known || known.label === tenant || known.countsUntil < now()) return [];
        return [
          `${tenant}: is the application that was ${known.label} so far, whose calls still count; keep that label`,
        ];
      });
      if (mistakes.length > 0) throw new StanddownError('CONFIG_INVALID', mistakes.join('; '));
    },
  };
}
