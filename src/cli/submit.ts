import { setFlagsFromString } from 'node:v8';
import { type Tenant, tenantOf, withTenant } from '../app/tenant.ts';
import { StanddownError } from '../base/errors.ts';
import { campaignIn } from '../base/words/name.ts';
import { count, plural } from '../base/words/number.ts';
import { openSpool, type Spool } from '../files/in/spool.ts';
import { describeHold, describeObstacle } from '../files/words/blocked.ts';
import { viewBudget } from '../store/budget/view.ts';
import { planSubmit, type SubmitPlan } from '../store/campaign/plan.ts';
import type { NewCampaign } from '../store/campaign/registry.ts';
import { lookAtCampaign } from '../store/campaign/status.ts';
import { expiryOf, type SubmitSummary, submitCampaign } from '../store/campaign/submit.ts';
import { URGENT } from '../store/ledger/place.ts';
import type { RowFormat } from './action-rows.ts';
import { actorOf } from './actor.ts';
import { canAsk, confirm, isPersonAt, unconfirmed } from './confirm.ts';
import { type CommandContext, EXIT, writeJson, writeText } from './context.ts';
import { expectTypes, type Load, loadFile, loadSelected, type Submission } from './submit-load.ts';
import { readWish, type SubmitOptions } from './submit-wish.ts';
import { describeKept, describePlan, describeSetAside, describeSubmit } from './submit-words.ts';
import { describeTally } from './tally.ts';
import { checkWritable, formatOf, writeWhole } from './whole-file.ts';

export type { SubmitOptions } from './submit-wish.ts';

/** Puts the actions that a file names, or those that match, into a campaign: all of them, or, where a line is bad, none. */
export async function runSubmit(context: CommandContext, options: SubmitOptions): Promise<number> {
  // A million ids pass by and none stays. Left alone, V8 lets a hundred MiB of them pile up before it looks.
  setFlagsFromString('--semi-space-growth-factor=1');
  const wish = await readWish(context, options);
  if (options.setAside !== undefined) {
    if (wish.types === null) throw new StanddownError('USAGE', '--set-aside works with --expect-type only');
    await checkWritable(options.setAside, options);
  }
  const spools: Spool[] = [];
  const newSpool = async () => {
    const spool = await openSpool(context.config.dataDir);
    spools.push(spool);
    return spool;
  };
  try {
    return await load({ context, options, wish, newSpool });
  } finally {
    for (const spool of spools) await spool.close();
  }
}

async function load(submission: Submission): Promise<number> {
  const { context, wish } = submission;
  const { source, types } = wish;
  if (source.kind === 'where') {
    return withTenant(context, async (tenant) =>
      weigh(submission, tenant, await loadSelected(submission, tenant, source.selecting)),
    );
  }
  const gathered = await loadFile(submission, source.file);
  if (typeof gathered === 'string') return refuse(context, gathered);
  return withTenant(context, async (tenant) =>
    weigh(
      submission,
      tenant,
      types === null ? gathered : await expectTypes(submission, tenant, gathered, types),
    ),
  );
}

/** Shows what it is about where a person may want to know, asks where one has to be asked, and goes on. */
async function weigh(submission: Submission, tenant: Tenant, load: Load): Promise<number> {
  const { context, options, wish } = submission;
  const { out } = context;
  const isSelected = wish.source.kind === 'where';
  await tellSetAside(submission, load.setAside);
  if (load.ids === 0) {
    return refuse(context, `${nothingLeft(load) ?? 'No machine action matches'}. Nothing was submitted.`);
  }
  if (wish.max !== null && load.ids > wish.max) {
    const words = `${plural(load.ids, 'action')} found, more than the ${count(wish.max)} that --max allows. Nothing was submitted.`;
    return refuse(context, words);
  }
  const isAnswerable = canAsk(context) && !isStandardInput(wish.source);
  // A person whose standard error goes into a file would not see the question: then nothing is submitted unseen. A script that names
  // a file has chosen its actions, and goes on: only what `--where` finds is never submitted unseen.
  const isPerson = isPersonAt(context) && !isStandardInput(wish.source);
  const asks = !options.yes && !options.dryRun && (isSelected || isPerson);
  const doing = `submit ${plural(load.ids, 'action')} to ${campaignIn(wish.name, tenant.label)}`;
  if (asks && !isAnswerable) return refuse(context, `${unconfirmed(doing)} Nothing was submitted.`);
  if (load.tally) for (const line of describeTally(load.tally)) out.note(line);
  else if (asks || options.dryRun) {
    const { previewSpool } = await import('./preview.ts');
    await previewSpool(context, tenant, load.spool);
  }
  if (options.dryRun) {
    await tellPlan(submission, tenant, load, await planSubmit(tenant, wish, load.spool.read()));
    await tellObstacle(submission, tenant);
    return EXIT.done;
  }
  if (asks) {
    const plan = await planSubmit(tenant, wish, load.spool.read());
    for (const line of describePlan(tenant.label, wish.name, plan, load)) out.note(line);
    await tellObstacle(submission, tenant);
    out.note('Submitting cancels real actions. There is no undo.');
    const question = `S${doing.slice(1)}?`;
    if (!(await confirm(context, { yes: false }, doing, question))) {
      out.note('Nothing was submitted.');
      return EXIT.declined;
    }
  }
  return submit(submission, tenant, load);
}

function isStandardInput(source: Submission['wish']['source']): boolean {
  return source.kind === 'file' && source.file === '-';
}

function nothingLeft({ excluded, setAside }: Load): string | null {
  if (setAside.length > 0) return 'No action is left: all were excluded or set aside';
  return excluded > 0 ? 'All actions are excluded' : null;
}

function refuse({ out }: CommandContext, words: string): number {
  out.complain(words);
  return EXIT.usage;
}

async function tellPlan(
  { context, options, wish }: Submission,
  { label }: Tenant,
  load: Load,
  plan: SubmitPlan,
): Promise<void> {
  const { out } = context;
  const { duplicates, skipped, excluded, setAside } = load;
  if (options.json) {
    await writeJson(out, {
      dryRun: true,
      tenant: label,
      campaign: wish.name,
      ...plan,
      duplicates,
      skipped,
      excluded,
      setAside,
    });
    return;
  }
  await writeText(out, describePlan(label, wish.name, plan, load).join('\n'));
  out.note('Dry run: nothing was submitted.');
}

/** How many of which type, and where they are written. */
async function tellSetAside(
  { context, options: { setAside: path, force, dryRun } }: Submission,
  setAside: Load['setAside'],
): Promise<void> {
  if (setAside.length > 0) context.out.complain(describeSetAside(setAside));
  if (path === undefined || dryRun) return;
  const rows = setAside.map(({ isListed: _, ...row }) => row);
  const { rowLines } = await import('./action-rows.ts');
  const text = rowLines(
    rows,
    ['machineActionId', 'type', 'computerDnsName'],
    formatOf<RowFormat>(path, ['jsonl', 'csv']),
  );
  await writeWhole(path, { force }, (file) => file.writeFile(text));
  context.out.note(`Wrote ${plural(rows.length, 'action')} to ${path}`);
}

/** Why nothing of what would be submitted will be called. */
async function tellObstacle({ context, options }: Submission, tenant: Tenant): Promise<void> {
  const obstacle = describeObstacle(await viewBudget(tenant.redis, tenant.keys, tenant.limits), tenant.label);
  if (obstacle && !options.json) context.out.note(obstacle);
}

async function submit(submission: Submission, tenant: Tenant, load: Load): Promise<number> {
  const { context, options, wish } = submission;
  const { out } = context;
  const wanted = await newCampaign(submission, tenant);
  const put = (campaign: NewCampaign) =>
    submitCampaign(tenant, campaign, load.spool.read(), {
      expected: load.ids,
      actor: actorOf(context.args),
    });
  const summary = await followed(context, wanted, put);
  if (summary.priority === URGENT) {
    // Of no use to others, and BullMQ takes memory.
    const { feedUrgent } = await import('../app/feed.ts');
    await feedUrgent(tenant, context.log);
  }
  const { status, budget } = await lookAtCampaign(tenant, wish.name);
  const { open: all, tracked, etaAt, expiring, hold } = status;
  const open = all - tracked.open;
  const { duplicates, skipped, excluded, setAside } = load;
  if (options.json) {
    const expiresAt = summary.expiresAt === null ? null : new Date(summary.expiresAt).toISOString();
    await writeJson(out, {
      tenant: tenant.label,
      ...summary,
      duplicates,
      expiresAt,
      skipped,
      excluded,
      setAside,
      open,
      etaAt,
      expiring,
    });
  } else await writeText(out, describeSubmit(tenant.label, summary, load, status));
  const obstacle =
    hold?.reason === 'paused' ? describeHold(hold, Date.now()) : describeObstacle(budget, tenant.label);
  if (all > 0 && obstacle && !options.json) out.note(obstacle);
  if (!summary.created) for (const line of describeKept(summary, options)) out.note(line);
  if (!options.wait) return EXIT.done;
  const { watchCampaign } = await import('./watch.ts');
  return watchCampaign(context, tenant, { campaign: wish.name, json: options.json });
}

async function followed(
  { traces, config }: CommandContext,
  wanted: NewCampaign,
  put: (campaign: NewCampaign) => Promise<SubmitSummary>,
): Promise<SubmitSummary> {
  if (!traces) return put(wanted);
  const { traceSubmit } = await import('../ops/traces/submit.ts');
  return traceSubmit(traces.spansFor(tenantOf(config)), wanted, put);
}

async function newCampaign({ wish }: Submission, { redis }: Tenant): Promise<NewCampaign> {
  const { name, comment, requestedBy, priority, expiresInMs } = wish;
  const expiresAt = await expiryOf(redis, expiresInMs);
  return { name, comment, requestedBy, priority, expiresAt, now: Date.now() };
}
