import fc from 'fast-check';
import { ENCODINGS, encode } from '../files/in/reading.ts';
import { freshGuid, namedBy, nested, strangeJson, strangeText } from './strange.ts';

/** A file of which is known what it holds. */
export interface Planted {
  bytes: Buffer;
  text: string;
  /** By line, from 1: the id that stands there, or null where something else does that must be named. */
  lines: Map<number, string | null>;
}

interface Row {
  text: string;
  /** Undefined: nothing counts here. */
  holds?: string | null;
}

/** The head tells the encoding: with many zero bytes in it a file is taken for something else, and refused. */
const HEAD = `# ${'-'.repeat(600)}`;

const around = fc.constantFrom('', '{}', '""', "''", '"{}"', '  ', '\t ');

function dressed(id: string, pair: string): string {
  return pair.slice(0, pair.length / 2) + id + pair.slice(pair.length / 2);
}

/** What may stand on a line: no line breaks, and in UTF-16 whole characters. */
const junk = strangeText.map((text) => text.replace(/[\r\n]/g, ' ').toWellFormed());

const plainRow: fc.Arbitrary<Row> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(freshGuid, around, fc.boolean()).map(([id, pair, upper]) => ({
      text: dressed(upper ? id.toUpperCase() : id, pair),
      holds: id,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Row>({ text: '' }, { text: ' \t' }, { text: '# a comment' }, { text: ' #' }),
  },
  {
    weight: 2,
    arbitrary: junk.map((text) => {
      const isNothing = text.trim() === '' || text.trim().startsWith('#');
      return isNothing ? { text } : { text, holds: namedBy(text) };
    }),
  },
  { weight: 1, arbitrary: freshGuid.map((id) => ({ text: `${id} ${'x'.repeat(70_000)}`, holds: null })) },
);

const jsonRow: fc.Arbitrary<Row> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(freshGuid, fc.constantFrom('id', 'machineActionId', 'ActionId', 'MACHINEACTIONID'), strangeJson)
      .map(([id, name, more]) => ({
        // Short enough for a line in any encoding.
        text: JSON.stringify({ more: JSON.stringify(more).length < 10_000 ? more : null, [name]: id }),
        holds: id,
      })),
  },
  { weight: 1, arbitrary: freshGuid.map((id) => ({ text: JSON.stringify(id), holds: id })) },
  {
    weight: 3,
    arbitrary: freshGuid.chain((id) =>
      fc.constantFrom<Row>(
        { text: `{"id":"${id}"`, holds: null },
        { text: `{"id":"${id}","ID":"${id}"}`, holds: null },
        { text: `{"id":["${id}"]}`, holds: null },
        { text: `{"__proto__":{"id":"${id}"}}`, holds: null },
        { text: `{"x":${nested(20_000)},"id":"${id}"}`, holds: id },
        { text: `{"id":"${id}"}{"id":"${id}"}`, holds: null },
        { text: 'null', holds: null },
        { text: '7', holds: null },
        { text: `{"id":"${id}\\u0000"}`, holds: null },
        { text: '' },
      ),
    ),
  },
);

const lineBreak = fc.constantFrom('\n', '\r\n', '\r');

function fileOf(row: fc.Arbitrary<Row>, first: fc.Arbitrary<Row>): fc.Arbitrary<Planted> {
  return fc
    .record({
      first,
      rows: fc.array(fc.tuple(row, lineBreak), { maxLength: 30 }),
      encoding: fc.constantFrom(...ENCODINGS),
      mark: fc.boolean(),
    })
    .map(({ first, rows, encoding, mark }) => {
      const lines = new Map<number, string | null>();
      let text = `${HEAD}\n${first.text}\n`;
      if (first.holds !== undefined) lines.set(2, first.holds);
      for (const [index, [{ text: written, holds }, end]] of rows.entries()) {
        // CR and then an empty line that ends in LF would be one line break, not two.
        text += written + (written === '' || end === '\r' ? '\r\n' : end);
        if (holds !== undefined) lines.set(index + 3, holds);
      }
      return { bytes: encode(text, encoding, mark), text, lines };
    });
}

export const plainFile = fileOf(
  plainRow,
  freshGuid.map((id) => ({ text: id, holds: id })),
);

export const jsonFile = fileOf(
  jsonRow,
  freshGuid.map((id) => ({ text: `{"id":"${id}"}`, holds: id })),
);

/** Bytes changed, taken out and put in. */
export const spoilt: fc.Arbitrary<Planted['bytes']> = fc
  .tuple(
    fc.oneof(plainFile, jsonFile),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.oneof(fc.nat(255), fc.constantFrom(0, 10, 13, 34, 44, 59, 0xff, 0xfe)),
        fc.nat(2),
      ),
      {
        maxLength: 20,
      },
    ),
    fc.nat(600),
  )
  .map(([{ bytes }, changes, cut]) => {
    const all = [...bytes.subarray(cut, cut + 5_000)];
    for (const [at, byte, how] of changes)
      all.splice(at % (all.length + 1), how === 0 ? 0 : 1, ...(how === 1 ? [] : [byte]));
    return Buffer.from(all);
  });

/** What is no list at all. */
export const noise: fc.Arbitrary<Buffer> = fc.oneof(
  spoilt,
  fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  fc.array(junk, { maxLength: 20 }).map((lines) => Buffer.from(lines.join('\n'))),
  fc.tuple(strangeText, freshGuid).map(([header, id]) => Buffer.from(`id,${header}\n${id},x\n`)),
  fc
    .constantFrom(
      '',
      '\0'.repeat(2_000),
      'x'.repeat(300_000),
      '"'.repeat(200_000),
      `id,x\n${'"a,'.repeat(60_000)}`,
      `{"id":${nested(100_000)}}`,
      nested(100_000),
      `id${',x'.repeat(50_000)}\n`,
      '\r'.repeat(5_000),
      '{"value":[',
      'PK\u0003\u0004',
      '%PDF-1.7',
    )
    .map((text) => Buffer.from(text)),
);
