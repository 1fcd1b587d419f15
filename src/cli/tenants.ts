import { unwatchFile, watchFile } from 'node:fs';
import type { Changes } from '../app/fleet-changes.ts';
import { systemClock } from '../base/clock.ts';
import { messageOf, StanddownError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import { longestMs } from '../config/limits.ts';
import { applicationOf, readTenants } from '../config/tenants-file.ts';
import { TIMINGS } from '../config/timings.ts';
import type { CommandContext } from './context.ts';

type Context = Pick<CommandContext, 'env' | 'log' | 'timings'>;

export interface Following {
  /** The longest CALL_TIMEOUT among them, in ms. */
  longestCallMs(): number;
  /** Reads the file again. */
  again(): void;
  stop(): void;
}

/** A worker or a console. */
export interface TakesTenants {
  /** Replaces its tenants. */
  set(configs: readonly Config[]): Changes | Promise<Changes>;
}

/**
 * Gives a worker or a console the tenants in the file, and again whenever the file changes. After a change that makes the file
 * invalid the tenants stay as they are.
 *
 * @param purpose `looks` needs no secrets, and may give an application another label at any time.
 * @throws StanddownError CONFIG_INVALID when the file is invalid at the start.
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
      log.info({ tenants: configs.length, added, changed, removed }, 'tenants reloaded');
    } catch (error) {
      log.error({ err: messageOf(error) }, 'tenants file is invalid; tenants are unchanged');
    }
  }

  const again = () => {
    reading = reading.then(readAgain);
  };
  const stop = () => {
    isOver = true;
    unwatchFile(path, again);
  };
  // Watched before it is read, so that no change is missed. By path, so that a link to another file is noticed, too.
  watchFile(path, { interval: timings.tenantsLookMs }, again);
  try {
    await read();
  } catch (error) {
    stop();
    throw error;
  }
  log.info({ tenants: configs.length, file: path }, 'tenants loaded');
  return { longestCallMs: () => Math.max(...configs.map(({ callTimeoutMs }) => callTimeoutMs)), again, stop };
}

/**
 * The labels that applications have had in this process. Under a new label an application would have its whole rate limit again,
 * while Defender still counts its calls under the first one.
 */
function createLabels(now: () => number) {
  const left = new Map<string, { label: string; countsUntil: number }>();
  return {
    /** @throws StanddownError CONFIG_INVALID when an application gets another label too soon. */
    check: (next: readonly Config[], before: readonly Config[]): void => {
      for (const { tenant, signIn, limits } of before) {
        if (!signIn || tenant === null) continue;
        left.set(applicationOf(signIn), { label: tenant, countsUntil: now() + longestMs(limits.windows) });
      }
      const mistakes = next.flatMap(({ tenant, signIn }) => {
        const known = signIn && left.get(applicationOf(signIn));
        if (!known || known.label === tenant || known.countsUntil < now()) return [];
        return [
          `${tenant}: this application had the label ${known.label}, and its recent calls still count; keep that label`,
        ];
      });
      if (mistakes.length > 0) throw new StanddownError('CONFIG_INVALID', mistakes.join('; '));
    },
  };
}
