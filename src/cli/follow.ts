import { createLogUpdate } from 'log-update';
import type { Tenant } from '../app/tenant.ts';
import { systemClock } from '../base/clock.ts';
import { printable } from '../base/foreign.ts';
import { isOver, lookAtCampaign } from '../store/campaign/status.ts';
import { type CommandContext, widthOf } from './context.ts';
import { type Progress, renderLine, renderProgress } from './progress.ts';
import { wrapLines } from './wrap.ts';

export interface FollowOptions {
  /** Between two looks, in ms. */
  lookMs: number;
  /** Between two lines of what is no terminal, in ms, unless what it waits for changes. */
  lineMs: number;
  /** Told what each look showed, in place of the lines on standard output. */
  onLook?(progress: Progress): Promise<void>;
}

/**
 * Shows how far a campaign is until nothing of it is open, nor of what it tracks: a few live lines on a terminal, single lines elsewhere.
 *
 * @returns how it ended.
 * @throws the stop signal's reason; StanddownError CAMPAIGN_UNKNOWN when it is deleted meanwhile.
 */
export async function followCampaign(
  { out, stop }: Pick<CommandContext, 'out' | 'stop'>,
  tenant: Tenant,
  name: string,
  options: FollowOptions,
): Promise<Progress> {
  const show = options.onLook ?? (isLive(out) ? showLive() : showLines(out, options.lineMs));
  for (;;) {
    stop.throwIfAborted();
    const { status, budget } = await lookAtCampaign(tenant, name);
    const progress = { tenant: tenant.label, status, budget, now: Date.now() };
    await show(progress);
    if (isOver(status)) return progress;
    await systemClock.sleep(options.lookMs, stop);
  }
}

/** A terminal of no size, as some programs pretend to be, has no room to draw on. */
function isLive(out: CommandContext['out']): boolean {
  return out.isTerminal && process.stdout.rows > 0;
}

function showLive(): (progress: Progress) => Promise<void> {
  const update = createLogUpdate(process.stdout);
  return async (progress) => {
    update(printable(renderProgress(progress, process.stdout.columns)));
    if (isOver(progress.status)) update.done();
  };
}

function showLines(out: CommandContext['out'], lineMs: number): (progress: Progress) => Promise<void> {
  let last = { at: Number.NEGATIVE_INFINITY, hold: '' };
  return async (progress) => {
    const hold = progress.status.hold?.reason ?? '';
    const isDue = progress.now - last.at >= lineMs || hold !== last.hold || isOver(progress.status);
    if (!isDue) return;
    last = { at: progress.now, hold };
    await out.write(`${wrapLines([renderLine(progress)], widthOf(out))}\n`);
  };
}
