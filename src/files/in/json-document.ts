import { StanddownError } from '../../base/errors.ts';
import { excerpt } from '../../base/foreign.ts';
import { parseGuid } from '../../base/guid.ts';
import { type Decoder, HEAD_BYTES } from './encoding.ts';
import type { IdLine } from './id-line.ts';
import { readJsonValue } from './json-line.ts';

/** Largest document that is read in one piece, in units of the decoder: bytes in UTF-8. */
const MOST_UNITS = 64 * 1024 * 1024;

/** `{"@odata.context":"…","value":[…`, as the API, `az rest` and `ConvertTo-Json` write it. */
const API_ANSWER = /^\{(?:\s*"@odata[^"]*"\s*:\s*(?:"[^"]*"|\d+)\s*,)*\s*"value"\s*:\s*\[/;

/** A first line that goes on in the next one: no object a line ends so. */
const GOES_ON = /^\{(?:.*[,[{:])?\s*$/;

/** Whether a text is one JSON document, and no object a line: from its first bytes, of which there are `HEAD_BYTES` unless it is shorter. */
export function isJsonDocument(head: string): boolean {
  const start = head.slice(0, HEAD_BYTES).trimStart();
  const [first = '', ...more] = start.split(/\r\n|\n|\r/);
  if (start.startsWith('[') || API_ANSWER.test(start)) return true;
  // `{guid},` is an id in braces.
  const [word = ''] = first.split(/[,;\s]/);
  return more.length > 0 && GOES_ON.test(first) && parseGuid(word) === null;
}

/**
 * Collects a document, and makes ids and problems of its entries: an array's, those of an answer's `value`, or itself.
 *
 * @throws StanddownError INPUT_INVALID, from `push` above 64 MiB, from `end` where it cannot be read.
 */
export function createJsonDocument(decoder: Decoder, idKey?: string) {
  const parts: string[] = [];
  let size = 0;
  return {
    push: (units: string): void => {
      size += units.length;
      if (size > MOST_UNITS)
        throw refuse(
          'the JSON document is larger than 64 MiB; put only the ids in a text file, one per line',
        );
      parts.push(units);
    },
    end: (): { entries: IdLine[]; lines: number } => {
      const { text, valid } = decoder.text(parts.join(''));
      if (!valid) throw refuse('the JSON document contains invalid characters; save it as UTF-8');
      const entries = entriesOf(parse(text)).map((entry, index) => readEntry(entry, index + 1, idKey));
      return { entries, lines: text.trimEnd().split(/\r\n|\n|\r/).length };
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // It quotes the file.
    const why = excerpt((cause as Error).message, 160);
    throw refuse(`invalid JSON (${why}); correct it, or put only the ids in a text file, one per line`);
  }
}

function entriesOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  const inner: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'value') : undefined;
  return Array.isArray(inner) ? inner : [value];
}

/** Which line an entry begins on nobody can say: it is counted. */
function readEntry(entry: unknown, number: number, idKey: string | undefined): IdLine {
  const read = readJsonValue(1, entry, JSON.stringify(entry) ?? '', idKey);
  return read.id === undefined ? { ...read, problem: `entry ${number}: ${read.problem}` } : read;
}

function refuse(what: string): StanddownError {
  return new StanddownError('INPUT_INVALID', what);
}
