import { addAbortSignal } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { type Tenant, withTenant } from '../app.ts';
import { campaignStatus } from '../campaign/status.ts';
import { type SubmitSummary, submitCampaign } from '../campaign/submit.ts';
import { describeDuration } from '../duration.ts';
import { guidsToBytes } from '../guid.ts';
import { type IdLine, readIdBatches } from '../intake/id-file.ts';
import { actorOf, userName } from './actor.ts';
import { type CommandContext, EXIT, writeJson } from './context.ts';
import { openSpool, type Spool } from './spool.ts';
import { clockTime, count } from './table.ts';

export interface SubmitOptions {
  /** A path, or `-` for standard input. */
  file: string;
  campaign: string;
  comment: string;
  skipInvalid: boolean;
  json: boolean;
}

/** Bad lines that are named one by one; of the others only the number. */
const NAMED_PROBLEMS = 50;

/** Reads ids from a file and puts them into a campaign: all of them, or, where a line is bad, none. */
export async function runSubmit(context: CommandContext, options: SubmitOptions): Promise<number> {
  // A million ids pass by and none stays. Left alone, V8 lets a hundred MiB of them pile up before it looks.
  setFlagsFromString('--semi-space-growth-factor=1');
  const spool = await openSpool(context.config.dataDir);
  try {
    const read = await readInto(spool, context, options);
    if (read.problems > 0 && !options.skipInvalid) {
      context.out.note(
        `${count(read.problems)} of ${count(read.problems + read.ids)} lines are not machine action ids; nothing was submitted. Correct them, or leave them out with --skip-invalid.`,
      );
      return EXIT.usage;
    }
    if (read.ids === 0) {
      context.out.note(
        `${options.file === '-' ? 'standard input' : options.file} holds no machine action ids; nothing was submitted`,
      );
      return EXIT.usage;
    }
    return await withTenant(context, (tenant) => submit(tenant, spool, context, options, read));
  } finally {
    await spool.close();
  }
}

async function readInto(spool: Spool, context: CommandContext, options: SubmitOptions) {
  // Whoever types the ids may stop at any time: nothing more need come before that is noticed.
  const source = options.file === '-' ? addAbortSignal(context.stop, context.stdin) : options.file;
  const read = { ids: 0, problems: 0 };
  for await (const batch of readIdBatches(source, {
    ...(options.file === '-' && { name: 'standard input' }),
  })) {
    context.stop.throwIfAborted();
    const ids: string[] = [];
    for (const line of batch) {
      if (line.problem === undefined) ids.push(line.id);
      else if (++read.problems <= NAMED_PROBLEMS) context.out.note(describeProblem(line));
      else if (read.problems === NAMED_PROBLEMS + 1) context.out.note('… and more');
    }
    read.ids += ids.length;
    if (ids.length > 0) await spool.add(guidsToBytes(ids));
  }
  return read;
}

function describeProblem(line: Extract<IdLine, { problem: string }>): string {
  return `line ${line.line}: ${line.problem}: ${line.text}`;
}

async function submit(
  tenant: Tenant,
  spool: Spool,
  context: CommandContext,
  options: SubmitOptions,
  read: { ids: number; problems: number },
): Promise<number> {
  const skipped = read.problems;
  const wanted = {
    name: options.campaign,
    comment: options.comment.trim(),
    requestedBy: userName(),
    now: Date.now(),
  };
  const summary = await submitCampaign(tenant, wanted, spool.read(), {
    expected: read.ids,
    actor: actorOf(context.args),
  });
  const status = await campaignStatus(tenant, options.campaign);
  if (options.json)
    await writeJson(context.out, { ...summary, skipped, open: status.open, etaAt: status.etaAt });
  else await context.out.write(`${describe(summary, skipped, status.etaAt)}\n`);
  if (!summary.created && summary.comment !== wanted.comment) {
    context.out.note(`the campaign keeps its comment: ${summary.comment}`);
  }
  return EXIT.done;
}

function describe(summary: SubmitSummary, skipped: number, etaAt: string | null): string {
  const lines = [`${summary.campaign}: ${count(summary.accepted)} accepted`];
  if (summary.already > 0) lines.push(`  ${count(summary.already)} were this campaign's already`);
  for (const { campaign, outcome, count: number } of summary.elsewhere) {
    lines.push(`  ${count(number)} are elsewhere: ${outcome} in ${campaign}`);
  }
  if (skipped > 0) lines.push(`  ${count(skipped)} bad lines left out`);
  const now = Date.now();
  if (etaAt)
    lines.push(
      `  done at ${clockTime(etaAt, now)}, in ${describeDuration(Math.max(0, Date.parse(etaAt) - now))}`,
    );
  return lines.join('\n');
}
