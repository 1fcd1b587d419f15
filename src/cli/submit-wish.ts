import { parseDuration } from '../base/duration.ts';
import { StanddownError } from '../base/errors.ts';
import type { Order } from '../files/select/selection.ts';
import { KNOWN_TYPES, spelled } from '../files/select/where.ts';
import { DEFAULT_PRIORITY } from '../store/campaign/registry.ts';
import { checkWanted } from '../store/campaign/submit.ts';
import { URGENT } from '../store/ledger/place.ts';
import { userName } from './actor.ts';
import { canAsk, unconfirmed } from './confirm.ts';
import type { CommandContext } from './context.ts';
import type { Selecting } from './reading.ts';

/** As the command line gives it. */
export interface SubmitOptions {
  /** A path, or `-` for standard input, which is the default. */
  file?: string;
  /** In place of a file. */
  where?: string;
  order?: Order;
  limit?: string;
  campaign: string;
  comment: string;
  /** Name of the CSV column or JSON key with the ids. */
  idColumn?: string;
  skipInvalid: boolean;
  /** Types of which the actions have to be, separated by commas. */
  expectType?: string;
  /** Where those of other types are written: CSV or JSONL, as the file is called. */
  setAside?: string;
  /** Whether that file is replaced. */
  force: boolean;
  /** A file of ids that must not be submitted. */
  exclude?: string;
  /** 1 (first) to 9 (last). Default 5. */
  priority?: string;
  /** Before all priorities. */
  urgent: boolean;
  /** A duration. Default: never. */
  expiresIn?: string;
  /** More actions than this are refused. Default: any number is accepted. */
  max?: string;
  dryRun: boolean;
  yes: boolean;
  wait: boolean;
  json: boolean;
}

/** The same, checked. */
export interface SubmitWish {
  source: { kind: 'file'; file: string } | { kind: 'where'; selecting: Selecting };
  name: string;
  comment: string;
  requestedBy: string | null;
  priority: number;
  /** Null: never. */
  expiresInMs: number | null;
  /** Actions at most; null: any number. */
  max: number | null;
  /** Null: any. */
  types: readonly string[] | null;
}

/**
 * What only some submits need is loaded by them: it takes memory, which a million ids need.
 *
 * @throws StanddownError USAGE, REFUSED
 */
export async function readWish(context: CommandContext, options: SubmitOptions): Promise<SubmitWish> {
  const wanted = { name: options.campaign, comment: options.comment.trim() };
  checkWanted(wanted);
  return {
    ...wanted,
    source: await sourceOf(context, options),
    requestedBy: userName(),
    priority: await priorityOf(options),
    expiresInMs: options.expiresIn === undefined ? null : readExpiry(options.expiresIn),
    max: options.max === undefined ? null : readMax(options.max),
    types: options.expectType === undefined ? null : readTypes(context, options.expectType),
  };
}

async function sourceOf(context: CommandContext, options: SubmitOptions): Promise<SubmitWish['source']> {
  const { file, where, order, limit } = options;
  if (where === undefined) {
    if (order !== undefined || limit !== undefined) throw usage('--order and --limit work with --where only');
    return { kind: 'file', file: file ?? '-' };
  }
  if (file !== undefined) throw usage('use a file or --where, not both');
  if (!options.yes && !options.dryRun && !canAsk(context)) {
    throw new StanddownError('REFUSED', unconfirmed('submit what --where finds'));
  }
  const { readSelecting } = await import('./reading.ts');
  return { kind: 'where', selecting: readSelecting(context, { ...options, where }) };
}

async function priorityOf({ priority, urgent }: SubmitOptions): Promise<number> {
  if (urgent && priority !== undefined) throw usage('use --urgent or --priority, not both');
  if (urgent) return URGENT;
  if (priority === undefined) return DEFAULT_PRIORITY;
  const { parsePriority } = await import('./steer.ts');
  return parsePriority(priority);
}

function readExpiry(text: string): number {
  const ms = parseDuration(text);
  if (ms === null)
    throw usage(`--expires-in: invalid duration ${JSON.stringify(text)}; use a form such as 90m or 4h`);
  return ms;
}

function readMax(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usage(`--max: ${JSON.stringify(text)} is not a whole number above zero`);
}

function readTypes({ out }: CommandContext, text: string): string[] {
  const types = text.split(',').map((type) => spelled(type.trim(), KNOWN_TYPES));
  if (types.includes('')) throw usage('--expect-type: empty type');
  for (const type of types) {
    if (!KNOWN_TYPES.includes(type))
      out.note(`Note: unknown type ${JSON.stringify(type)} (known types: ${KNOWN_TYPES.join(', ')})`);
  }
  return types;
}

function usage(words: string): StanddownError {
  return new StanddownError('USAGE', words);
}
