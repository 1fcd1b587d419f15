import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import type { z } from 'zod';
import { type CancelResult, OUTCOMES } from '../../src/index.ts';
import { parseJob } from '../../src/queue/job.ts';
import type { cancelResultSchema } from '../../src/queue/result-schema.ts';
import { ROOT } from '../support/processes.ts';
import { openService } from './support/producers.ts';
import { schemaFiles } from './support/schemas.ts';

const files = schemaFiles();
// The patterns say what the formats would.
const ajv = new Ajv2020({ validateFormats: false, strictTypes: false });
const isJob = ajv.compile(files['cancel-job.schema.json'] ?? {});
const isResult = ajv.compile(files['cancel-result.schema.json'] ?? {});

const isTaken = (data: unknown) => parseJob('cancel', data, { comment: 'by default' }).ok;

test('the schemas in docs are those of the validator; "npm run schemas" writes them anew', async () => {
  for (const [name, schema] of Object.entries(files)) {
    assert.deepEqual(JSON.parse(await readFile(join(ROOT, 'docs', name), 'utf8')), schema, name);
  }
});

const GUID = '8ecf25d1-76f2-4080-a2a0-237761784bef';
const maybe = fc.oneof;
const mostly = <T>(good: fc.Arbitrary<T>) =>
  maybe(
    { weight: 8, arbitrary: good as fc.Arbitrary<unknown> },
    { weight: 1, arbitrary: fc.jsonValue() as fc.Arbitrary<unknown> },
  );

const guids = fc
  .tuple(
    fc.uuid(),
    fc.constantFrom('', '{', '"', "'", '"{', "'{", '{"', '(', ' ', '\t\n'),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([guid, open, isUpper, isClosed]) => {
    const closers: Record<string, string> = { '{': '}', '(': ')' };
    const close = [...open]
      .reverse()
      .map((sign) => closers[sign] ?? sign)
      .join('');
    return open + (isUpper ? guid.toUpperCase() : guid) + (isClosed ? close : '');
  });
const bad = fc.constantFrom(
  '',
  GUID.slice(1),
  `${GUID}0`,
  GUID.replaceAll('-', ''),
  `${GUID}\u00a0`,
  `${GUID}/..`,
  `{${GUID}"`,
);
const padding = fc.stringMatching(/^[ \t\n\u00a0\u2028\ufeff]{0,3}$/);
const texts = (max: number) =>
  fc
    .tuple(
      padding,
      maybe(
        fc.string({ maxLength: 20 }),
        fc.nat(2).map((more) => 'x'.repeat(max - 1 + more)),
      ),
      padding,
    )
    .map((parts) => parts.join(''));
const clock = fc.constantFrom(
  'T00:00:00Z',
  'T23:59:59.123+02:00',
  'T24:00:00Z',
  'T12:00Z',
  't12:00:00z',
  'T12:00:00',
  ' 12:00:00Z',
  'T23:59:60Z',
  'T12:00:00-24:00',
);
const days = fc.constantFrom(
  '2026-11-25',
  '2024-02-29',
  '2023-02-29',
  '2026-13-01',
  '0000-01-01',
  '2026-04-31',
  '+010000-01-01',
  '26-1-1',
);
const times = maybe(
  fc.tuple(days, clock).map((parts) => parts.join('')),
  fc.constantFrom(0, -1, 1, 1.5, 1_790_000_000_000, 8.64e15 - 1, 8.64e15, 2 ** 53, 1e300),
  fc.constant(null),
);

const jobs = fc.record(
  {
    v: mostly(fc.constant(1)),
    machineActionId: maybe({ weight: 6, arbitrary: mostly(guids) }, { weight: 1, arbitrary: bad }),
    comment: mostly(maybe(texts(4_000), fc.constant(null))),
    requestedBy: mostly(maybe(texts(200), fc.constant(null))),
    expiresAt: mostly(times),
    again: mostly(maybe(fc.boolean(), fc.constant(null))),
    extra: fc.jsonValue(),
  },
  { requiredKeys: ['machineActionId'] },
);

/** Texts as the validator measures them. */
function trimmed(data: unknown): unknown {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return data;
  const copy: Record<string, unknown> = { ...data };
  for (const name of ['comment', 'requestedBy']) {
    const text = copy[name];
    if (typeof text === 'string') copy[name] = text.trim();
  }
  return copy;
}

test('schema and validator agree on what a job is', (t) => {
  const seen = { taken: 0, refused: 0, wider: 0 };
  const anything = fc.jsonValue() as fc.Arbitrary<unknown>;
  const some = maybe(
    { weight: 20, arbitrary: jobs as fc.Arbitrary<unknown> },
    { weight: 1, arbitrary: anything },
  );
  fc.assert(
    fc.property(some, (data) => {
      const taken = isTaken(data);
      seen[taken ? 'taken' : 'refused']++;
      assert.equal(isJob(trimmed(data)), taken, `${JSON.stringify(data)} ${JSON.stringify(isJob.errors)}`);
      if (isJob(data)) assert.ok(taken, 'the schema promises too much');
      else if (taken) seen.wider++;
    }),
    { numRuns: 5_000 },
  );
  t.diagnostic(JSON.stringify(seen));
  assert.ok(seen.taken > 300 && seen.refused > 300);
});

test('the difference is as documented, and both count characters', () => {
  const job = { machineActionId: GUID };
  const padded = { ...job, requestedBy: ` ${'x'.repeat(200)}` };
  assert.deepEqual([isJob(padded), isTaken(padded)], [false, true]);
  const wide = { ...job, comment: '😀'.repeat(4_000) };
  assert.deepEqual([isJob(wide), isTaken(wide)], [true, true]);
});

test('real results are as their schema says, and so is one of a later version', async (t) => {
  const { stack, producer } = await openService(t);
  const ids = [...stack.addActions(1), '00000000-0000-4000-8000-000000000001'];
  const results: CancelResult[] = [];
  for (const machineActionId of ids) {
    const handle = await producer.cancel({ machineActionId, comment: 'x', requestedBy: 'portal' });
    results.push(await handle.outcome({ timeoutMs: 60_000 }));
  }
  results.push(await stack.result(await stack.enqueue({ machineActionId: 'bad' })));
  assert.deepEqual(
    results.map(({ outcome }) => outcome),
    ['cancelled', 'not_found', 'invalid'],
  );
  for (const result of results) assert.ok(isResult(result), JSON.stringify(isResult.errors));
  const later = { ...results[0], outcome: 'postponed', more: 1 };
  assert.ok(isResult(later));
  assert.ok(!isResult({ ...results[0], decidedAt: 'yesterday' }));
  assert.ok(!isResult({ ...results[0], attempts: undefined }));
  assert.ok(OUTCOMES.length > 0);
});

/** Fails to compile when the type and the schema say different things. */
type Written = Omit<CancelResult, 'outcome'>;
type Read = Omit<z.infer<typeof cancelResultSchema>, 'outcome'>;
export const typesAgree: [Written extends Read ? true : never, Read extends Written ? true : never] = [
  true,
  true,
];
