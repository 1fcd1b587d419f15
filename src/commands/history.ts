import { withTenant } from '../app.ts';
import { readAudit } from '../campaign/audit.ts';
import { findCampaign } from '../campaign/registry.ts';
import { type CommandContext, EXIT, widthOf, writeJson } from './context.ts';
import { clockTime, formatTable } from './table.ts';

/** What was done to a campaign, by whom and when. */
export function runHistory(
  context: CommandContext,
  options: { campaign: string; json: boolean },
): Promise<number> {
  return withTenant(context, async (tenant) => {
    const { number } = await findCampaign(tenant.redis, tenant.keys, options.campaign);
    const entries = (await readAudit(tenant, number)).map(({ at, ...entry }) => ({
      at: new Date(at).toISOString(),
      ...entry,
    }));
    if (options.json) await writeJson(context.out, entries);
    else {
      const columns = ['when', 'what', 'who', 'detail', 'command'].map((title) => ({ title }));
      const rows = entries.map(({ at, action, by, detail, command }) => [
        clockTime(at, Date.now()),
        action,
        by,
        detail,
        command,
      ]);
      await context.out.write(`${formatTable(columns, rows, widthOf(context.out))}\n`);
    }
    return EXIT.done;
  });
}
