import assert from 'node:assert/strict';
import type { LookupAddress, lookup as systemLookup } from 'node:dns';
import { describe, it } from 'node:test';
import { createGuardedLookup, isPublic, literalProblem } from '../../../src/ops/notices/address.ts';

const PRIVATE = [
  ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.9.9.9', '169.254.169.254', '172.16.0.1'],
  ...['172.31.255.255', '192.168.0.1', '192.0.0.1', '192.0.2.1', '198.18.0.1', '198.51.100.7', '203.0.113.1'],
  ...['224.0.0.1', '240.0.0.1', '255.255.255.255'],
  ...[
    '::',
    '::1',
    '::7f00:1',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '100::1',
  ],
  ...['2001:db8::1', '2002:7f00:1::', '2001::1', 'fc00::1', 'fd12::1', 'fe80::1', 'fec0::1', 'ff02::1'],
  ...['', 'localhost', '1.2.3', '8.8.8.8 ', 'x'],
];

/** Where clouds hand out credentials, one of which looks like any other address. */
const METADATA = ['169.254.169.254', '168.63.129.16', '100.100.100.200', '192.0.0.192', '169.254.0.23'];
const METADATA_V6 = [
  ...[
    'fe80::a9fe:a9fe',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce:0::254',
    'fd00:c1::a9fe:a9fe',
    'fd00:42::42',
  ],
  // IPv4 in disguise.
  ...[
    '::ffff:168.63.129.16',
    '::a9fe:a9fe',
    '::ffff:0:a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::a9fe:a9fe',
  ],
  ...['2002:a9fe:a9fe::', '2002:a83f:8110::1'],
];

const PUBLIC = ['8.8.8.8', '172.32.0.1', '192.169.0.1', '::ffff:8.8.8.8', '2606:4700::1111', '2a00:1450::1'];

type Answer = LookupAddress[] | Error;

/** Asks as a connection does. */
async function ask(
  answer: Answer,
  all: boolean,
  allowPrivate = false,
): Promise<{ error: string; addresses: string[] }> {
  const lookup = ((
    _name: string,
    _options: object,
    callback: (e: Error | null, a: LookupAddress[]) => void,
  ) => (answer instanceof Error ? callback(answer, []) : callback(null, answer))) as typeof systemLookup;
  return new Promise((resolve) => {
    createGuardedLookup(allowPrivate, lookup)('hooks.example', { all }, (error, address) => {
      const addresses = typeof address === 'string' ? [address] : address.map((one) => one.address);
      resolve({ error: error?.code ?? '', addresses: addresses.filter(Boolean) });
    });
  });
}

describe('where notices may go', () => {
  it('is told by the address', () => {
    assert.deepEqual(PRIVATE.filter(isPublic), []);
    assert.deepEqual(
      PUBLIC.filter((address) => !isPublic(address)),
      [],
    );
  });

  it('is told of addresses in a URL, however they are written', () => {
    for (const text of [
      'https://127.1/',
      'https://2130706433/',
      'https://0x7f.1/',
      'https://0177.0.0.1/',
      'https://[::1]/',
      'https://[::ffff:10.0.0.1]/',
      'https://169.254.169.254/latest',
    ])
      assert.ok(literalProblem(new URL(text).hostname, false), text);
    for (const text of ['https://8.8.8.8/', 'https://[2606:4700::1111]/', 'https://hooks.example/'])
      assert.equal(literalProblem(new URL(text).hostname, false), null, text);
  });

  it('is never where a cloud hands out credentials, whatever is allowed', async () => {
    assert.deepEqual([...METADATA, ...METADATA_V6].filter(isPublic), []);
    for (const address of [...METADATA, ...METADATA_V6]) {
      const family = address.includes(':') ? 6 : 4;
      const { hostname } = new URL(`http://${family === 6 ? `[${address}]` : address}/`);
      assert.match(literalProblem(hostname, true)?.message ?? '', /metadata address/, address);
      assert.deepEqual(await ask([{ address, family }], false, true), {
        error: 'PRIVATE_ADDRESS',
        addresses: [],
      });
    }
    for (const address of ['127.0.0.1', '::1', '64:ff9b::a00:1', 'fd00:1::1'])
      assert.equal(literalProblem(address, true), null, address);
    const allowed = await ask([{ address: '10.0.0.1', family: 4 }], false, true);
    assert.deepEqual(allowed, { error: '', addresses: ['10.0.0.1'] });
  });

  it('is told of all addresses that a name has', async () => {
    const v4 = (address: string) => ({ address, family: 4 });
    for (const all of [true, false]) {
      assert.deepEqual(await ask([v4('8.8.8.8')], all), { error: '', addresses: ['8.8.8.8'] });
      for (const answer of [
        [v4('10.0.0.1')],
        [v4('8.8.8.8'), v4('127.0.0.1')],
        [v4('8.8.8.8'), { address: '::1', family: 6 }],
        [],
      ])
        assert.deepEqual(await ask(answer, all), { error: 'PRIVATE_ADDRESS', addresses: [] });
      const missing = Object.assign(new Error('x'), { code: 'ENOTFOUND' });
      assert.deepEqual(await ask(missing, all), { error: 'ENOTFOUND', addresses: [] });
    }
    const two = await ask([v4('8.8.8.8'), v4('8.8.4.4')], true);
    assert.deepEqual(two.addresses, ['8.8.8.8', '8.8.4.4']);
  });
});
