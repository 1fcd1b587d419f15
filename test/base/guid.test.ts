import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesToGuid, guidToBytes, parseGuid } from '../../src/base/guid.ts';
import { anyCharacter } from '../fuzz/strange.ts';

const ID = '9f3c2a1b-0d4e-4f5a-8b6c-1d2e3f405162';
const UPPER = ID.toUpperCase();

test('accepts a GUID as people paste it', () => {
  const forms = [
    ID,
    UPPER,
    ` ${ID}`,
    `${ID}\r`,
    `\t\v\f${ID} \n`,
    `{${ID}}`,
    `"${ID}"`,
    `'${UPPER}'`,
    ` "{${UPPER}}" `,
    `'{${ID}}'`,
  ];
  for (const form of forms) assert.equal(parseGuid(form), ID, JSON.stringify(form));
});

test('accepts the nil GUID: Defender, not the format, knows whether it exists', () => {
  assert.equal(parseGuid('00000000-0000-0000-0000-000000000000'), '00000000-0000-0000-0000-000000000000');
});

test('refuses everything else', () => {
  const others = [
    ...['', ' ', 'machineActionId', ID.slice(1), `${ID}0`, ID.replaceAll('-', ''), ID.replaceAll('-', ':')],
    ...[
      `(${ID})`,
      `[${ID}]`,
      `<${ID}>`,
      `{${ID}`,
      `${ID}}`,
      `{{${ID}}}`,
      `"${ID}`,
      `"${ID}'`,
      `{"${ID}"}`,
      `" ${ID}"`,
    ],
    ...[
      `${ID},`,
      `${ID} ${ID}`,
      `${ID}\n${ID}`,
      `urn:uuid:${ID}`,
      `../${ID}`,
      `${ID}/..`,
      `${ID}%00`,
      `${ID}?x`,
    ],
    // An embedded NUL, before, in and after.
    ...[`\0${ID}`, `${ID}\0`, ID.replace('-', '\0-'), ID.replace('9', '\0')],
    // Look-alikes: full-width and Arabic digits, Cyrillic а and с, en dash, hyphen, minus, soft hyphen, zero width.
    ...[
      ID.replace('9', '\uff19'),
      ID.replace('9', '\u0669'),
      ID.replace('a', '\u0430'),
      ID.replace('c', '\u0441'),
    ],
    ...[
      ID.replaceAll('-', '\u2013'),
      ID.replaceAll('-', '\u2010'),
      ID.replaceAll('-', '\u2212'),
      `${ID}\u00ad`,
      `\u200b${ID}`,
    ],
    // White space, but not ASCII; a byte-order mark; a right-to-left mark.
    ...[`\u00a0${ID}`, `${ID}\u3000`, `\ufeff${ID}`, `${ID}\u200f`],
    ...[ID.replace('9', 'g'), ID.replace('9', '-'), '-'.repeat(36), '9f3c2a1b0-d4e-4f5a-8b6c-1d2e3f405162'],
  ];
  for (const other of others) assert.equal(parseGuid(other), null, JSON.stringify(other));
});

test('whatever the text, the answer is canonical or null, and canonical text stays as it is', () => {
  const nearly = fc.stringMatching(
    /^[ "'{]{0,2}[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}[ "'}]{0,2}$/,
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: anyCharacter }), nearly, fc.uuid()), (text) => {
      const guid = parseGuid(text);
      if (guid === null) return;
      assert.match(guid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.ok(text.toLowerCase().includes(guid));
      assert.equal(parseGuid(guid), guid);
    }),
    { numRuns: 2000 },
  );
});

test('bytes follow the order of the text and lead back to it', () => {
  assert.equal(guidToBytes(ID).toString('hex'), ID.replaceAll('-', ''));
  assert.equal(bytesToGuid(Buffer.concat([Buffer.alloc(3), guidToBytes(ID)]), 3), ID);
  fc.assert(
    fc.property(fc.uuid(), fc.uuid(), (one, other) => {
      assert.equal(bytesToGuid(guidToBytes(one)), one);
      assert.equal(
        Math.sign(guidToBytes(one).compare(guidToBytes(other))),
        one < other ? -1 : one > other ? 1 : 0,
      );
    }),
  );
});

test('bytes of what is no canonical GUID, or too few of them, are a bug', () => {
  for (const text of [
    '',
    'x',
    `{${ID}}`,
    ID.replaceAll('-', ''),
    ID.replace('9', 'g'),
    ID.replace('2', '\uff12'),
  ]) {
    assert.throws(() => guidToBytes(text), { code: 'INTERNAL' }, text);
  }
  assert.throws(() => bytesToGuid(Buffer.alloc(15)), { code: 'INTERNAL' });
  assert.throws(() => bytesToGuid(Buffer.alloc(16), 1), { code: 'INTERNAL' });
});
