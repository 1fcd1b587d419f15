import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { messageOf, StanddownError } from '../../base/errors.ts';

/** Pieces of this size at most are worked on at once, whatever the source hands over: it bounds a batch. */
const PIECE_BYTES = 65_536;

/** Read from a file in one go, in bytes: four pieces, for fewer trips to the thread pool. */
const READ_BYTES = 4 * PIECE_BYTES;

/**
 * The bytes of a file or a stream in pieces of at most 64 KiB. Nothing is read ahead of the consumer beyond the stream's
 * own buffer; leaving the loop destroys the stream.
 *
 * @throws StanddownError `INPUT_INVALID` when it cannot be read; `USAGE` when a stream yields objects.
 */
export async function* readPieces(source: string | Readable): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of chunksOf(source)) {
    const bytes = toBuffer(chunk);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
  }
}

async function* chunksOf(source: string | Readable): AsyncGenerator<unknown, void, void> {
  try {
    yield* typeof source === 'string' ? createReadStream(source, { highWaterMark: READ_BYTES }) : source;
  } catch (error) {
    throw new StanddownError('INPUT_INVALID', unreadable(error), { cause: error });
  }
}

function toBuffer(chunk: unknown): Buffer {
  // A stream that was given an encoding.
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (chunk instanceof Uint8Array) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  throw new StanddownError('USAGE', 'the stream of ids must yield bytes or text');
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', 'no such file'],
  ['ENOTDIR', 'no such file'],
  ['EISDIR', 'this is a folder, not a file'],
  ['EACCES', 'no permission to read this file'],
  ['EPERM', 'no permission to read this file'],
]);

function unreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return REASONS.get(code) ?? `cannot be read: ${messageOf(error).split('\n', 1)[0]}`;
}
