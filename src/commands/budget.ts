import { withTenant } from '../app.ts';
import { livingWorkers } from '../budget/roster.ts';
import { type BudgetView, viewBudget } from '../budget/view.ts';
import { formatDuration } from '../duration.ts';
import { OPERATIONS, type Operation } from '../keys.ts';
import { describeAbsence, describeHold, describePace, describeWorker } from '../words.ts';
import { type CommandContext, EXIT, widthOf, writeJson } from './context.ts';
import { count, formatTable } from './table.ts';

/** Use of each window, the reserve, and why nothing is running. */
export function runBudget(context: CommandContext, options: { json: boolean }): Promise<number> {
  return withTenant(context, async ({ redis, keys, limits }) => {
    const views = await Promise.all(
      OPERATIONS.map(async (operation) => ({
        operation,
        view: await viewBudget(redis, keys, limits, operation),
      })),
    );
    if (options.json) await writeJson(context.out, views.map(toJson));
    else await context.out.write(`${describe(views, widthOf(context.out))}\n`);
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

function describe(views: readonly Seen[], width: number): string {
  const columns = [
    { title: 'calls' },
    { title: 'window' },
    { title: 'used', align: 'right' as const },
    { title: 'limit', align: 'right' as const },
    { title: 'free', align: 'right' as const },
    { title: 'kept for urgent', align: 'right' as const },
  ];
  const rows = views.flatMap(({ operation, view }) =>
    view.windows.map((window) => [
      operation,
      formatDuration(window.lengthMs),
      count(window.used),
      count(window.max),
      count(window.free),
      window.reserved > 0 ? count(window.reserved) : '',
    ]),
  );
  const now = Date.now();
  const [cancel] = views;
  const holds = (cancel?.view.holds ?? []).map((hold) =>
    describeHold({ ...hold, until: hold.until === null ? null : toIso(hold.until) }, now),
  );
  const absence = cancel ? describeAbsence(cancel.view) : null;
  const pace = cancel ? describePace(cancel.view) : null;
  const workers = cancel ? livingWorkers(cancel.view.workers, cancel.view.now).map(describeWorker) : [];
  const lines = [absence ?? [], holds, pace ?? []].flat();
  return [
    formatTable(columns, rows, width),
    '',
    ...workers,
    ...(lines.length > 0 ? lines : ['nothing holds calls back']),
  ].join('\n');
}

function toIso(ms: number): string {
  return new Date(Math.ceil(ms)).toISOString();
}
