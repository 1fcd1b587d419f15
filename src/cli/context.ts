import type { Readable } from 'node:stream';
import type { AppDeps } from '../app/tenant.ts';
import type { Environment } from '../config/config.ts';
import { wrapLines } from './wrap.ts';

/** Where a command's words go. Results only on standard output; everything else on standard error. */
export interface Output {
  /** Writes a text to standard output and waits until there is room for more. */
  write(text: string): Promise<void>;
  /** A line on standard error, for a person; not said with `--quiet`. */
  note(line: string): void;
  /** A line on standard error that says what is wrong. */
  complain(line: string): void;
  /** Whether standard output is a terminal. */
  isTerminal: boolean;
  columns: number;
}

/** What every command gets. It returns its exit code and touches neither signals nor the exit. */
export interface CommandContext extends AppDeps {
  /** The command line as given, without the program. */
  args: readonly string[];
  env: Environment;
  /** The file of `--env-file`, if any. */
  envFile: string | null;
  /** Standdown's own. */
  version: string;
  out: Output;
  stdin: Readable;
  /** Aborted at the first SIGINT or SIGTERM. */
  stop: AbortSignal;
  /** Calls this at each SIGHUP, and at once where one came before. Only a worker outlives one. */
  onHangup(listener: () => void): void;
}

/** What a command gets that does without right settings. */
export type BareContext = Omit<CommandContext, 'config' | 'log'>;

/** How long a line may be: whatever is no terminal has room for any. */
export function widthOf(out: Output): number {
  return out.isTerminal ? out.columns : Number.POSITIVE_INFINITY;
}

/**
 * Exit codes: done; the work failed; bad usage or bad input; a campaign ended and not everything is known to be
 * cancelled. After a signal: 130 or 143.
 */
export const EXIT = { done: 0, failed: 1, usage: 2, notStopped: 3, declined: 130 } as const;

/** Writes lines for a person; on a terminal they are broken between words. */
export function writeText(out: Output, text: string): Promise<void> {
  return out.write(`${wrapLines(text.trimEnd().split('\n'), widthOf(out))}\n`);
}

export function writeJson(out: Output, value: unknown): Promise<void> {
  return out.write(`${JSON.stringify(value)}\n`);
}
