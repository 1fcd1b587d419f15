import { withTenant } from '../app/tenant.ts';
import { formatDuration } from '../base/duration.ts';
import { count } from '../base/words/number.ts';
import { describeHolds, describePace, describeWorker } from '../files/words/blocked.ts';
import { livingWorkers } from '../store/budget/roster.ts';
import { type BudgetView, viewBudget } from '../store/budget/view.ts';
import { isIdle, readWaiting } from '../store/campaign/forecast.ts';
import { OPERATIONS, type Operation } from '../store/keys.ts';
import { type CommandContext, EXIT, widthOf, writeJson } from './context.ts';
import { formatTable } from './table.ts';
import { wrapLines } from './wrap.ts';

/** Shows the use of each rolling window, the reserve, the workers, and what blocks calls. */
export function runBudget(context: CommandContext, options: { json: boolean }): Promise<number> {
  return withTenant(context, async ({ label, redis, keys, ledger, limits }) => {
    const views = await Promise.all(
      OPERATIONS.map(async (operation) => ({
        operation,
        view: await viewBudget(redis, keys, limits, operation),
      })),
    );
    if (options.json) await writeJson(context.out, views.map(toJson));
    else {
      const seen = { tenant: label, isIdle: isIdle(await readWaiting({ redis, keys, ledger })) };
      await context.out.write(`${describe(views, seen, widthOf(context.out))}\n`);
    }
    return EXIT.done;
  });
}

interface Seen {
  operation: Operation;
  view: BudgetView;
}

function toJson({ operation, view }: Seen) {
  return {
    operation,
    windows: view.windows,
    workers: view.workers.map((worker) => ({ ...worker, seenAt: toIso(worker.seenAt) })),
    pace: view.pace && { ...view.pace, until: toIso(view.pace.until) },
    holds: view.holds.map((hold) => ({ ...hold, until: hold.until === null ? null : toIso(hold.until) })),
  };
}

function describe(
  views: readonly Seen[],
  { tenant, isIdle }: { tenant: string; isIdle: boolean },
  width: number,
): string {
  const isSlowed = views.some(({ view }) => view.pace !== null);
  const columns = [
    { title: 'calls' },
    { title: 'window' },
    { title: 'used', align: 'right' as const },
    { title: 'limit', align: 'right' as const },
    ...(isSlowed ? [{ title: 'allowed now', align: 'right' as const }] : []),
    { title: 'free', align: 'right' as const },
    { title: 'reserved', align: 'right' as const },
    { title: 'available to campaigns', align: 'right' as const },
  ];
  const rows = views.flatMap(({ operation, view }) =>
    view.windows.map((window) => [
      operation,
      formatDuration(window.lengthMs),
      count(window.used),
      count(window.max),
      ...(isSlowed ? [count(window.allowed)] : []),
      count(window.free),
      count(window.reserved),
      count(Math.max(0, window.free - window.reserved)),
    ]),
  );
  const [cancel] = views;
  const holds = cancel ? describeHolds(cancel.view, tenant, isIdle) : [];
  const pace = cancel ? describePace(cancel.view) : null;
  const workers = cancel ? livingWorkers(cancel.view.workers, cancel.view.now).map(describeWorker) : [];
  const lines = [holds, pace ?? []].flat();
  return [
    formatTable(columns, rows, width),
    '',
    wrapLines([...workers, ...(lines.length > 0 ? lines : ['Calls can be sent now.'])], width),
  ].join('\n');
}

function toIso(ms: number): string {
  return new Date(Math.ceil(ms)).toISOString();
}
