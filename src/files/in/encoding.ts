import { isAscii, isUtf8 } from 'node:buffer';
import { StanddownError } from '../../base/errors.ts';

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/** How many bytes {@link sniff} looks at; it must be given that many unless the input is shorter. */
export const HEAD_BYTES = 512;

const WORKBOOK = 'this looks like an Excel workbook; save it as "CSV UTF-8" and use that file';

/** First bytes of what is certainly not text. A zip is nearly always an .xlsx here. */
const MAGIC: readonly (readonly [hex: string, problem: string])[] = [
  ['504b0304', WORKBOOK],
  ['d0cf11e0a1b11ae1', WORKBOOK],
  ['1f8b', 'this file is compressed (gzip); unpack it first'],
  ['28b52ffd', 'this file is compressed (zstd); unpack it first'],
  ['fd377a585a00', 'this file is compressed (xz); unpack it first'],
  ['fffe0000', 'this file is UTF-32; save it as UTF-8'],
  ['0000feff', 'this file is UTF-32; save it as UTF-8'],
];

const BYTE_ORDER_MARKS: readonly (readonly [hex: string, encoding: Encoding])[] = [
  ['efbbbf', 'utf-8'],
  ['fffe', 'utf-16le'],
  ['feff', 'utf-16be'],
];

/**
 * The encoding of a file that begins with `head`, and the length of its byte-order mark.
 *
 * @throws StanddownError `INPUT_INVALID` when this is no text, or UTF-32.
 */
export function sniff(head: Buffer): { encoding: Encoding; markBytes: number } {
  const hex = head.toString('hex', 0, 8);
  const magic = MAGIC.find(([start]) => hex.startsWith(start));
  if (magic !== undefined) throw new StanddownError('INPUT_INVALID', magic[1]);
  const mark = BYTE_ORDER_MARKS.find(([start]) => hex.startsWith(start));
  if (mark !== undefined) return { encoding: mark[1], markBytes: mark[0].length / 2 };
  return { encoding: sniffZeroBytes(head.subarray(0, HEAD_BYTES)), markBytes: 0 };
}

/** ids, headers and JSON are mostly ASCII, so in UTF-16 every other byte is zero; in UTF-8 text none is. */
function sniffZeroBytes(head: Buffer): Encoding {
  const zeros = [0, 0] as [even: number, odd: number];
  for (const [at, byte] of head.entries()) if (byte === 0) zeros[at % 2 === 0 ? 0 : 1]++;
  const [even, odd] = zeros;
  // A few stray zeros are broken UTF-8, reported on their lines; a quarter of one half of the bytes is a pattern.
  const pattern = head.length / 8;
  if (odd >= pattern && odd > 0 && even * 4 <= odd) return 'utf-16le';
  if (even >= pattern && even > 0 && odd * 4 <= even) return 'utf-16be';
  if (even + odd > head.length / 4)
    throw new StanddownError(
      'INPUT_INVALID',
      'this is not a text file; use a list of ids, CSV or JSON, saved as UTF-8',
    );
  return 'utf-8';
}

/**
 * Turns bytes into *units*: strings in which line breaks can be found before anything is validated.
 *
 * A unit is a byte in UTF-8 (as Latin-1, a plain copy) and a code unit in UTF-16. Whole lines of units then become text,
 * so that characters cut apart by a chunk are whole again and an invalid one spoils its own line only.
 */
export interface Decoder {
  units(chunk: Buffer): string;
  /** What is left when the input has ended. */
  rest(): string;
  /** A line's text; where invalid, with replacement characters or lone surrogates in it. */
  text(units: string): { text: string; valid: boolean };
}

export function createDecoder(encoding: Encoding): Decoder {
  return encoding === 'utf-8' ? utf8Decoder() : utf16Decoder(encoding === 'utf-16be');
}

const NOT_ASCII = /[\x80-\xff]/;

function utf8Decoder(): Decoder {
  // Most files are ASCII throughout: only once a chunk was not do lines have to be looked at.
  let ascii = true;
  return {
    units(chunk) {
      ascii &&= isAscii(chunk);
      return chunk.toString('latin1');
    },
    rest: () => '',
    text(units) {
      if (ascii || !NOT_ASCII.test(units)) return { text: units, valid: true };
      const bytes = Buffer.from(units, 'latin1');
      return { text: bytes.toString('utf8'), valid: isUtf8(bytes) };
    },
  };
}

function utf16Decoder(bigEndian: boolean): Decoder {
  let half = Buffer.alloc(0);
  return {
    units(chunk) {
      // A copy: swapping happens in place, and the chunk is not ours.
      const bytes = Buffer.concat([half, chunk]);
      const whole = bytes.length - (bytes.length % 2);
      half = bytes.subarray(whole);
      const pairs = bytes.subarray(0, whole);
      return (bigEndian ? pairs.swap16() : pairs).toString('utf16le');
    },
    // Half a code unit: a lone surrogate in its place makes the last line invalid, as it is.
    rest: () => (half.length === 0 ? '' : '\ud800'),
    text: (units) => ({ text: units, valid: units.isWellFormed() }),
  };
}
