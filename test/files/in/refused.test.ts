import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { StanddownError } from '../../../src/base/errors.ts';
import { readIdBatches, readIds } from '../../../src/files/in/id-file.ts';
import { encode, guid, idsOf, read, readBytes, readText, temporaryFolder } from './reading.ts';

test('what cannot be read is named in one line', async () => {
  await using folder = await temporaryFolder();
  const missing = join(folder.path, 'missing.txt');
  assert.equal((await read(missing)).error, `INPUT_INVALID ${missing}: no such file`);
  assert.equal((await read(folder.path)).error, `INPUT_INVALID ${folder.path}: this is a folder, not a file`);
  assert.match(
    (await read('a\0b\nc')).error ?? '',
    /^INPUT_INVALID a\\u0000b\\u000ac: cannot be read: [^\n]*$/,
  );
});

test('a file without permission is refused', {
  skip: process.getuid?.() === 0 && 'root may read anything: run the tests as another user',
}, async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'secret.txt');
  await writeFile(path, guid(1));
  await chmod(path, 0);
  assert.equal((await read(path)).error, `INPUT_INVALID ${path}: no permission to read this file`);
});

test('what is no text, or not in lines, says what to do instead', async () => {
  const cases: [content: Buffer | string, message: RegExp][] = [
    [
      Buffer.from('504b03041400060008000000', 'hex'),
      /^this looks like an Excel workbook; save it as "CSV UTF-8" and use that file$/,
    ],
    [Buffer.from('d0cf11e0a1b11ae10000', 'hex'), /Excel workbook/],
    [gzipSync(guid(1)), /compressed \(gzip\)/],
    [Buffer.from('fffe00006100000062000000', 'hex'), /UTF-32/],
    [Buffer.from('0000feff0000006100000062', 'hex'), /UTF-32/],
    // UTF-32 without a mark, and an executable.
    [Buffer.from([...guid(1)].flatMap((char) => [char.charCodeAt(0), 0, 0, 0])), /not a text file/],
    [Buffer.from('7f454c46020101000000000000000000', 'hex'), /not a text file/],
    [
      `[${`{"id":"${guid(1)}"},`.repeat(2000)}`,
      /^invalid JSON \(.+\); correct it, or put only the ids in a text file, one per line$/,
    ],
    [`{"value": [${`{"id":"${guid(1)}"},`.repeat(2000)}`, /invalid JSON \(/],
    [`{\n  "id": "${guid(1)}",\n`, /invalid JSON \(/],
    [
      Buffer.concat([Buffer.from('["'), Buffer.from([0xff, 0x22, 0x5d])]),
      /^the JSON document contains invalid characters; save it as UTF-8$/,
    ],
    [
      `${guid(1)},host`,
      /^several columns, but no header line; insert one as the first line, such as machineActionId,column2$/,
    ],
    [`# from the portal\n["${guid(1)}"]`, /^a JSON array must begin the file; remove the lines before it$/],
    [`#\n{\n"id":"${guid(1)}"\n}`, /^a JSON object over several lines must begin the file; remove/],
    [`#\n{"value":["${guid(1)}"]}`, /^an answer of the API must begin the file; remove/],
    [`host\t"${guid(1)}"`, /no header line/],
    [`{${guid(1)}};host`, /no header line/],
    [
      'Machine Id,Status\n',
      /^the header has no id column \(machineActionId, id or ActionId\); its columns are Machine Id, Status$/,
    ],
    ['a;"b;c"; ;d\n', /its columns are a, b;c, \(unnamed\), d$/],
    ['\u202eab,c\u0007\n', /its columns are \\u202eab, c\\u0007$/],
    [`${'x,'.repeat(50)}y\n`, /x, x and 31 more$/],
    [`id,ID\n${guid(1)},${guid(2)}`, /has the id column twice; rename one of them; its columns are id, ID$/],
    ['id,ho"s"t\n', /header line has misplaced quotes/],
    ['id,ho"st\n', /a quote in the header line is never closed; close it or remove it/],
    ['"open\n', /never closed/],
    [`id,"open\n${'x"'.repeat(40_000)}\n${guid(1)},x`, /never closed/],
    [`id,"host\n${`${guid(1)},x\n`.repeat(2000)}`, /never closed/],
  ];
  for (const [content, message] of cases) {
    const { error } = await readBytes(Buffer.from(content));
    const [code, source, ...rest] = error?.split(' ') ?? [];
    assert.deepEqual([code, source], ['INPUT_INVALID', 'input:'], String(content).slice(0, 80));
    assert.match(rest.join(' '), message);
    assert.doesNotMatch(rest.join(' '), /\n/);
  }
});

test('the same is refused in UTF-16', async () => {
  for (const encoding of ['utf-16le', 'utf-16be'] as const) {
    for (const mark of [false, true]) {
      const { error } = await readBytes(encode(`[\n"${guid(1)}"\n`, encoding, mark));
      assert.match(error ?? '', /invalid JSON \(/);
    }
  }
});

test('an error carries the facts', async () => {
  const reading = readIds(Readable.from([Buffer.from('a,b\n')]), { name: 'clip\u001bboard' });
  await assert.rejects(reading.next(), (error) => {
    assert.ok(error instanceof StanddownError);
    assert.match(error.message, /^clip\\u001bboard: the header has no id column/);
    const expected = ['machineActionId', 'id', 'ActionId'];
    assert.deepEqual(error.context, { columns: ['a', 'b'], expected, source: 'clip\u001bboard' });
    return true;
  });
});

test('a stream that fails half-way is refused, whatever came before', async () => {
  const source = Readable.from(
    (function* () {
      yield Buffer.from(`${guid(1)}\n`.repeat(1000));
      throw new Error('connection lost\nat some place');
    })(),
  );
  assert.equal((await read(source)).error, 'INPUT_INVALID input: cannot be read: connection lost');
});

test('a stream of text is read, one of objects is not', async () => {
  assert.deepEqual(idsOf(await read(Readable.from([`${guid(1)}\n${guid(2)}`]))), [guid(1), guid(2)]);
  assert.match(
    (await read(Readable.from([{ id: guid(1) }]))).error ?? '',
    /^USAGE input: the stream of ids must yield/,
  );
});

test('leaving early closes the source and tells no summary', async () => {
  const source = Readable.from([Buffer.from(`${guid(1)}\n`.repeat(5000)), Buffer.from(guid(2))]);
  for await (const batch of readIdBatches(source, { onSummary: () => assert.fail('not at the end') })) {
    assert.ok(batch.length > 0);
    break;
  }
  assert.ok(source.destroyed);
});

test('a problem says enough to find the line, and nothing that could harm a terminal', async () => {
  const { lines } = await readText(
    `${guid(1)}\n\u001b[2Jx\u202e\u0000\n${'y'.repeat(500)}\n${'\u0001'.repeat(300)}\n${'😀'.repeat(70)}\n`,
  );
  const texts = lines.slice(1).map((line) => line.text);
  assert.equal(texts[0], '\\u001b[2Jx\\u202e\\u0000');
  assert.equal(texts[1], `${'y'.repeat(119)}…`);
  assert.equal(texts[2], `${'\\u0001'.repeat(19)}…`);
  assert.equal(texts[3], `${'😀'.repeat(59)}…`);
});
