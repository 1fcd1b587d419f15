import type { Decoder } from './encoding.ts';

/** Longest line, and longest CSV record: 64 Ki bytes in UTF-8, 64 Ki code units in UTF-16. */
export const MAX_LINE = 65_536;

export const TOO_LONG = 'line too long';
export const NOT_DECODABLE = 'invalid characters (save the file as UTF-8)';

export interface Line {
  /** Physical line, from 1. */
  number: number;
  /** Without its line break. Of a line that is too long, its beginning only. */
  text: string;
  /** Why the text cannot be trusted. */
  flaw?: string;
}

interface LineSplitter {
  /** The lines that `units` completes. */
  push(units: string): Line[];
  /** The last line, when nothing broke it. */
  end(): Line[];
  /** Physical lines so far. */
  count(): number;
}

/** As many units as any excerpt needs, in any encoding. */
const KEPT_OF_LONG = 1024;

/** Splits at LF, CRLF and CR, wherever the pieces are cut, holding one line of at most 64 Ki units. */
export function createLineSplitter(decoder: Decoder): LineSplitter {
  let begun = '';
  let tooLong = false;
  let afterCr = false;
  let count = 0;

  const grow = (units: string): void => {
    if (!tooLong) begun += units;
    if (begun.length <= MAX_LINE) return;
    tooLong = true;
    begun = begun.slice(0, KEPT_OF_LONG);
  };
  const finish = (): Line => {
    const { text, valid } = decoder.text(begun);
    const flaw = tooLong ? TOO_LONG : valid ? undefined : NOT_DECODABLE;
    begun = '';
    tooLong = false;
    count++;
    return flaw === undefined ? { number: count, text } : { number: count, text, flaw };
  };

  return {
    push(units) {
      if (units === '') return [];
      // The other half of a CRLF that was cut in two.
      const rest = afterCr && units.startsWith('\n') ? units.slice(1) : units;
      afterCr = units.endsWith('\r');
      const parts = rest.split(rest.includes('\r') ? /\r\n|\n|\r/ : '\n');
      const last = parts.pop() ?? '';
      const lines = parts.map((part) => {
        grow(part);
        return finish();
      });
      grow(last);
      return lines;
    },
    end: () => (begun === '' ? [] : [finish()]),
    count: () => count,
  };
}
