import type { Separator } from './csv-cells.ts';
import { createDecoder, type Encoding, HEAD_BYTES, sniff } from './encoding.ts';
import type { AnyFormat } from './format.ts';
import { createFormatSelector } from './format-selector.ts';
import type { IdLine } from './id-line.ts';
import { createJsonDocument, isJsonDocument } from './json-document.ts';
import { createLineSplitter } from './lines.ts';

/** What a file turned out to be. */
export interface IdFileSummary {
  /** `empty`: nothing but blank lines, comments, and lines that are no text. `json`: one document. */
  format: AnyFormat | 'empty';
  encoding: Encoding;
  /** CSV of more than one column. */
  separator?: Separator;
  /** CSV: the column the ids were read from, as the file names it. */
  column?: string;
  /** Physical lines, blank ones and comments included. */
  lines: number;
}

/** Bytes in, ids and problems out, without any waiting: encoding, then lines, then format, then ids. */
interface IdReader {
  /** @throws StanddownError `INPUT_INVALID` when this is no list of ids. */
  push(chunk: Buffer): IdLine[];
  /** @throws StanddownError `INPUT_INVALID` when this is no list of ids. */
  end(): { rest: IdLine[]; summary: IdFileSummary };
}

/** However the input is cut into chunks, the result is the same: the head is collected before anything is decided. */
/** @param idColumn name of the column or key with the ids; default: one of ID_NAMES. */
export function createIdReader(idColumn?: string): IdReader {
  let head = Buffer.alloc(0);
  let text: IdReader | undefined;

  const begin = (): { reader: IdReader; first: IdLine[] } => {
    const { encoding, markBytes } = sniff(head);
    const start = createDecoder(encoding).units(head.subarray(markBytes, HEAD_BYTES));
    const reader = isJsonDocument(start)
      ? createDocumentReader(encoding, idColumn)
      : createTextReader(encoding, idColumn);
    const first = reader.push(head.subarray(markBytes));
    head = Buffer.alloc(0);
    return { reader, first };
  };

  return {
    push(chunk) {
      if (text !== undefined) return text.push(chunk);
      head = Buffer.concat([head, chunk]);
      if (head.length < HEAD_BYTES) return [];
      const { reader, first } = begin();
      text = reader;
      return first;
    },
    end() {
      if (text !== undefined) return text.end();
      const { reader, first } = begin();
      const { rest, summary } = reader.end();
      return { rest: [...first, ...rest], summary };
    },
  };
}

function createDocumentReader(encoding: Encoding, idColumn: string | undefined): IdReader {
  const decoder = createDecoder(encoding);
  const document = createJsonDocument(decoder, idColumn);
  return {
    push: (chunk) => {
      document.push(decoder.units(chunk));
      return [];
    },
    end: () => {
      document.push(decoder.rest());
      const { entries, lines } = document.end();
      return { rest: entries, summary: { format: 'json', encoding, lines } };
    },
  };
}

function createTextReader(encoding: Encoding, idColumn: string | undefined): IdReader {
  const decoder = createDecoder(encoding);
  const splitter = createLineSplitter(decoder);
  const selector = createFormatSelector(idColumn);
  return {
    push: (chunk) => selector.read(splitter.push(decoder.units(chunk))),
    end() {
      const lines = [...splitter.push(decoder.rest()), ...splitter.end()];
      const rest = [...selector.read(lines), ...selector.end()];
      const format = selector.format() ?? 'empty';
      return { rest, summary: { format, encoding, ...selector.details(), lines: splitter.count() } };
    },
  };
}
