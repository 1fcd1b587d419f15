import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { StanddownError } from '../../../src/base/errors.ts';
import { type IdFileSummary, type IdLine, readIds } from '../../../src/files/in/id-file.ts';
import { TEST_DIR } from '../../support/folders.ts';

export const ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be'] as const;

/** A folder of its own, gone when the scope ends. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  mkdirSync(TEST_DIR, { recursive: true });
  const path = await mkdtemp(join(TEST_DIR, 'intake-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export function encode(text: string, encoding: (typeof ENCODINGS)[number], mark = false): Buffer {
  const marked = mark ? `\ufeff${text}` : text;
  if (encoding === 'utf-8') return Buffer.from(marked);
  const bytes = Buffer.from(marked, 'utf16le');
  return encoding === 'utf-16be' ? bytes.swap16() : bytes;
}

/** A guid that counts: the last digits are `n`. */
export function guid(n: number): string {
  return `9f3c2a1b-0d4e-4f5a-8b6c-${n.toString(16).padStart(12, '0')}`;
}

export interface Reading {
  lines: IdLine[];
  summary: IdFileSummary | undefined;
  /** Code and message of what was thrown. */
  error: string | undefined;
}

/** Reads to the end; anything thrown but a StanddownError is passed on. */
export async function read(source: string | Readable): Promise<Reading> {
  const lines: IdLine[] = [];
  const summaries: IdFileSummary[] = [];
  try {
    for await (const line of readIds(source, { onSummary: (summary) => summaries.push(summary) }))
      lines.push(line);
  } catch (error) {
    if (!(error instanceof StanddownError)) throw error;
    // How many problems came out before depends on the chunks; nothing of a refused file counts.
    return { lines: [], summary: undefined, error: `${error.code} ${error.message}` };
  }
  return { lines, summary: summaries[0], error: undefined };
}

export function readBytes(bytes: Buffer, sizes: readonly number[] = []): Promise<Reading> {
  return read(Readable.from(chunks(bytes, sizes)));
}

export function readText(text: string): Promise<Reading> {
  return readBytes(Buffer.from(text));
}

export function idsOf(reading: Reading): string[] {
  return reading.lines.flatMap((line) => line.id ?? []);
}

/** `line: problem` of each. */
export function problemsOf(reading: Reading): string[] {
  return reading.lines.flatMap((line) => (line.problem === undefined ? [] : `${line.line}: ${line.problem}`));
}

/** Cut at the sizes given, over and over; whole when there are none. */
function* chunks(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  if (sizes.length === 0) yield bytes;
  for (let at = 0, turn = 0; sizes.length > 0 && at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
