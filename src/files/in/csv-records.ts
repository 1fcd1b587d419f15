import { countQuotes, isWellFormed, type Separator } from './csv-cells.ts';
import { type Line, MAX_LINE, TOO_LONG } from './lines.ts';

const NEVER_CLOSED = 'a quote that opens here is not closed correctly';

export interface RecordJoiner {
  /** The records that this line completes, each as one line (with breaks in it), numbered by where it starts. */
  take(line: Line): Line[];
  /** What remains when no more lines come. */
  end(): Line[];
}

/**
 * Joins lines whose quotes go on into the next line.
 *
 * A record is complete when its quotes are even in number. One that does not close within 64 Ki, or turns out broken
 * where it closes, costs its first line only: the lines after it are read again on their own, so that a stray quote
 * (`19" rack`) neither swallows the ids after it nor memory. Every line is read at most twice: between an odd line
 * and the next odd one none can open a record.
 */
export function createRecordJoiner(separator: Separator): RecordJoiner {
  let open: Line[] = [];
  let size = 0;

  const giveUp = (): Line[] => {
    const [first, ...others] = open;
    open = [];
    if (first === undefined) return [];
    return [{ ...first, flaw: first.flaw ?? NEVER_CLOSED }, ...others.flatMap(take)];
  };
  const take = (line: Line): Line[] => {
    // Its end, and so its quotes, are unknown.
    if (line.flaw === TOO_LONG) return [...giveUp(), line];
    const odd = countQuotes(line.text) % 2 === 1;
    if (open.length === 0 && !odd) return [line];
    size = open.length === 0 ? line.text.length : size + 1 + line.text.length;
    open.push(line);
    if (size > MAX_LINE) return giveUp();
    if (open.length === 1 || !odd) return [];
    const record = joined(open);
    if (!isWellFormed(record.text, separator)) return giveUp();
    open = [];
    return [record];
  };
  return { take, end: giveUp };
}

function joined(lines: readonly Line[]): Line {
  const text = lines.map((line) => line.text).join('\n');
  const flaw = lines.find((line) => line.flaw !== undefined)?.flaw;
  const number = lines[0]?.number ?? 0;
  return flaw === undefined ? { number, text } : { number, text, flaw };
}
