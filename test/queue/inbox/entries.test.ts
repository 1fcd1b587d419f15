import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { type InboxEntry, readWish } from '../../../src/queue/inbox/entry.ts';
import { anyCharacter } from '../../fuzz/strange.ts';
import type { TestRedis } from '../../support/redis.ts';
import { keepingLog, openStack, openTestRedis, type Stack } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';
import { add, type Place, readStream, untilEmpty, untilTold } from './support.ts';

const ID = '8ecf25d1-76f2-4080-a2a0-237761784bef';

function entryOf(...fields: (string | Buffer)[]): InboxEntry {
  return { id: '1764081942123-7', fields: fields.map((field) => Buffer.from(field)) };
}

const GOOD = ['machineActionId', ID, 'comment', 'x'];

const WRONG: [fields: (string | Buffer)[], reason: RegExp][] = [
  [[], /^machineActionId: required$/],
  [['comment', 'x'], /^machineActionId: required$/],
  [['machineActionId', 'no guid', 'comment', 'x'], /^machineActionId: not a GUID$/],
  [['MachineActionId', ID, 'comment', 'x'], /^machineActionId: required$/],
  [['machineActionId', ID], /^comment: required, because DEFAULT_COMMENT is not set$/],
  [['machineActionId', ID, 'comment', '  '], /^comment: required/],
  [['machineActionId', ID, 'comment', 'x'.repeat(4_001)], /^comment: /],
  [['machineActionId', ID, 'comment', Buffer.alloc(16_001)], /^comment: longer than 16000 bytes$/],
  [['machineActionId', ID, 'comment', Buffer.of(0xff, 0xfe)], /^comment: not valid UTF-8$/],
  [[...GOOD, 'machineActionId', ID], /^machineActionId: given twice$/],
  [[...GOOD, 'comment', ''], /^comment: given twice$/],
  [[...GOOD, 'again', 'perhaps'], /^again: must be/],
  [[...GOOD, 'priority', '1'], /^priority: must be/],
  [[...GOOD, 'priority', 'toString'], /^priority: must be/],
  [[...GOOD, 'expiresAt', 'tomorrow'], /^expiresAt: /],
  [[...GOOD, 'expiresAt', '-5'], /^expiresAt: /],
  [[...GOOD, 'expiresAt', '2026-11-25T18:00:00'], /^expiresAt: /],
  [[...GOOD, 'requestedBy', 'x'.repeat(201)], /^requestedBy: /],
  [[...GOOD, 'campaign', 'x'.repeat(101)], /^campaign: the name must be at most 100 characters long/],
  [[...GOOD, 'campaign', 'a\nb'], /^campaign: the name must not contain control characters/],
  [[...GOOD, 'v', '2'], /^v: /],
];

for (const [fields, reason] of WRONG) {
  it(`refuses an entry: ${reason.source}`, () => {
    const read = readWish(entryOf(...fields), null);
    assert.ok(!read.ok);
    assert.match(read.reason, reason);
  });
}

it('does not mind spaces around what is no name', () => {
  const spaced = ['v', ' 1', 'again', ' true\n', 'priority', 'urgent ', 'expiresAt', ' 1795617756629 '];
  const read = readWish(entryOf('machineActionId', ` ${ID}`, 'comment', ' x ', ...spaced), null);
  assert.ok(read.ok, JSON.stringify(read));
  const { urgent, request } = read.wish;
  assert.deepEqual(
    [urgent, request.again, request.expiresAt, request.comment, request.machineActionId],
    [true, true, 1795617756629, 'x', ID],
  );
});

it('reads all fields, and ignores those that it does not know', () => {
  const more = ['requestedBy', 'portal', 'expiresAt', '1795617756629', 'again', 'true', 'priority', 'urgent'];
  const unknown = ['x', '1', 'x', '2', Buffer.of(0xff), Buffer.of(0xff), '', '', 'v', '1'];
  const read = readWish(
    entryOf('machineActionId', `{${ID.toUpperCase()}}`, 'comment', 'x', ...more, ...unknown),
    null,
  );
  assert.ok(read.ok);
  const { entry, ...wish } = read.wish;
  assert.deepEqual(wish, {
    at: 1_764_081_942_123,
    urgent: true,
    campaign: null,
    traceparent: null,
    request: {
      machineActionId: ID,
      comment: 'x',
      requestedBy: 'portal',
      expiresAt: 1_795_617_756_629,
      again: true,
    },
  });
});

it('takes a trace that can be followed, and refuses nothing over one that cannot', () => {
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const table: [fields: (string | Buffer)[], taken: string | null][] = [
    [['traceparent', trace], trace],
    [['traceparent', ` ${trace}\n`], trace],
    [['traceparent', trace, 'traceparent', 'x'], trace],
    [['traceparent', 'x', 'traceparent', trace], null],
    [['traceparent', ''], null],
    [['traceparent', Buffer.of(0xff)], null],
    [['traceparent', 'x'.repeat(100_000)], null],
    [['Traceparent', trace], null],
    // A value is no name.
    [['x', 'traceparent', trace, 'y'], null],
    [['traceparent'], null],
  ];
  for (const [fields, taken] of table) {
    const read = readWish(entryOf(...GOOD, ...fields), null);
    assert.equal(read.ok && read.wish.traceparent, taken, String(fields).slice(0, 90));
  }
});

it('takes an empty field for one that is not there', () => {
  const empty = ['requestedBy', '', 'expiresAt', '', 'again', '', 'priority', ' ', 'campaign', '', 'v', ''];
  const read = readWish(entryOf('machineActionId', ID, ...empty), 'from the settings');
  assert.ok(read.ok);
  assert.equal(read.wish.request.comment, 'from the settings');
  assert.equal(read.wish.campaign, null);
});

it('never throws over what anybody may write', () => {
  const names = [
    'machineActionId',
    'comment',
    'campaign',
    'requestedBy',
    'expiresAt',
    'again',
    'priority',
    'v',
  ];
  const name = fc.oneof(
    fc.constantFrom(...names).map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  );
  const value = fc.oneof(
    fc.constantFrom(ID, 'true', 'urgent', '1', '', '__proto__', '2030-01-01T00:00:00Z', '9'.repeat(16)),
    fc.string({ unit: anyCharacter, maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
  );
  const fields = fc.array(
    fc.tuple(
      name,
      value.map((one) => Buffer.from(one as string)),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(fields, fc.option(fc.constant('default')), (pairs, comment) => {
      const read = readWish({ id: '1-1', fields: pairs.flat() }, comment);
      if (!read.ok) assert.match(read.reason, /^[a-zA-Z]+: ./);
      else assert.equal(read.wish.request.machineActionId, ID);
    }),
    { numRuns: 2_000 },
  );
});

describe('a worker', () => {
  let server: TestRedis;
  let stack: Stack;
  let place: Place;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());
  beforeEach(async () => {
    stack = await openStack(server);
    place = { redis: stack.redis, keys: stack.tenant.keys };
  });
  afterEach(() => stack.close());

  it('strange entries among good ones are each rejected, with the reason and their fields', async () => {
    const ids = stack.addActions(20);
    const strange: (string | Buffer)[][] = [
      ...WRONG.map(([fields]) => fields).filter((fields) => fields.length > 0 && !fields.includes('  ')),
      ['comment', Buffer.alloc(3_000_000, 'x')],
      [randomBytes(50), randomBytes(5_000)],
      Array.from({ length: 2_000 }, () => 'machineActionId'),
      ['', ''],
    ];
    const settled = strange.filter((fields) => fields.length !== 2 || fields[0] !== 'machineActionId');
    for (const [i, machineActionId] of ids.entries()) {
      await add(place, { machineActionId, comment: 'x' });
      const fields = settled[i];
      if (fields) await stack.redis.call('XADD', place.keys.inbox, '*', ...fields);
    }
    for (const fields of settled.slice(ids.length))
      await stack.redis.call('XADD', place.keys.inbox, '*', ...fields);
    const worker = await stack.startWorker();
    await untilEmpty(place);
    for (const id of ids) assert.equal((await untilTold(place, id))['outcome'], 'cancelled');
    const rejected = await readStream(place, place.keys.rejected);
    assert.equal(rejected.length, settled.length);
    for (const { reason, fields } of rejected) {
      assert.match(reason ?? '', /^[a-zA-Z]+: ./);
      assert.ok((fields ?? '').length < 40 * 1_300, 'bounded');
      assert.ok(Array.isArray(JSON.parse(fields ?? '')));
    }
    assert.ok(!worker.failed.aborted);
  });

  it('goes on when its stream was deleted, or was something else for a while', async () => {
    const { log, lines } = await keepingLog();
    await stack.close();
    stack = await openStack(server, { log });
    place = { redis: stack.redis, keys: stack.tenant.keys };
    const ids = stack.addActions(2);
    await stack.startWorker();
    await add(place, { machineActionId: ids[0] ?? '', comment: 'x' });
    await untilTold(place, ids[0] ?? '');
    await stack.redis.del(place.keys.inbox);
    await stack.redis.set(place.keys.inbox, 'x');
    await eventually(() => assert.match(lines.join(), /WRONGTYPE|UNBLOCKED|NOGROUP/));
    await stack.redis.del(place.keys.inbox);
    await add(place, { machineActionId: ids[1] ?? '', comment: 'x' });
    await untilTold(place, ids[1] ?? '', 30_000);
  });
});
