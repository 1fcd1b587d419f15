import type { JobsOptions } from 'bullmq';
import fc from 'fast-check';
import {
  freshGuid,
  nested,
  strangeId,
  strangeJson,
  strangeNumber,
  strangeText,
  strangeTime,
} from './strange.ts';

const comment = fc.oneof(
  { weight: 12, arbitrary: fc.constant('x') },
  { weight: 2, arbitrary: strangeText },
  { weight: 1, arbitrary: strangeJson },
  { weight: 1, arbitrary: fc.constantFrom('c'.repeat(4_000), 'c'.repeat(4_001), 'c'.repeat(1_000_000)) },
);

/** Data as producers write it, one or two of whose fields are not what they should be. */
const wish: fc.Arbitrary<unknown> = fc
  .record(
    {
      v: fc.oneof({ weight: 9, arbitrary: fc.constant<unknown>(1) }, strangeJson),
      machineActionId: fc.oneof(
        { weight: 6, arbitrary: freshGuid as fc.Arbitrary<unknown> },
        { weight: 6, arbitrary: strangeId as fc.Arbitrary<unknown> },
        { weight: 1, arbitrary: strangeJson },
      ),
      comment,
      requestedBy: fc.oneof(strangeText as fc.Arbitrary<unknown>, strangeJson),
      expiresAt: strangeTime,
      again: fc.oneof(fc.boolean() as fc.Arbitrary<unknown>, strangeJson),
      more: strangeJson,
    },
    { requiredKeys: ['machineActionId', 'comment'], noNullPrototype: true },
  )
  .chain((full) => {
    // Most fields away, most of the time: with all of them strange at once nothing would get far.
    const optional = ['v', 'requestedBy', 'expiresAt', 'again', 'more'];
    return fc.subarray(optional, { maxLength: 2 }).map((kept) => {
      const entries = Object.entries(full).filter(([key]) => !optional.includes(key) || kept.includes(key));
      return Object.fromEntries(entries);
    });
  });

/** Data as JSON text, for some is no JSON, and some no program would write. */
export const dataText: fc.Arbitrary<string> = fc.oneof(
  { weight: 12, arbitrary: wish.map((data) => JSON.stringify(data)) },
  { weight: 2, arbitrary: strangeJson.map((data) => JSON.stringify(data) ?? '') },
  {
    weight: 2,
    arbitrary: freshGuid.chain((id) =>
      fc.constantFrom(
        `{"__proto__":{"machineActionId":"${id}","comment":"x"}}`,
        `{"constructor":{"prototype":{"machineActionId":"${id}"}},"comment":"x"}`,
        `{"machineActionId":"${id}","comment":"x","__proto__":{"again":true}}`,
        `{"machineActionId":"no","comment":"x","machineActionId":"${id}"}`,
        `{"machineActionId":{"toString":"${id}"},"comment":"x"}`,
        `{"machineActionId":["${id}"],"comment":"x"}`,
        `{"machineActionId":"${id}","comment":"x","expiresAt":1e400}`,
        `{"machineActionId":"${id}","comment":"x","expiresAt":9999999999999999999999}`,
        `{"machineActionId":"${id}","comment":"x","more":${nested(20_000)}}`,
        `{"machineActionId":"${id}","comment":"x","more":${nested(3_000, '{"a":', '}').replace(':}', ':1}')}}`,
        `{"machineActionId":"${id}","comment":"x","more":"${'m'.repeat(1_000_000)}"}`,
        `{"MachineActionId":"${id}","Comment":"x"}`,
        `{"machineActionId":"${id}","comment":"\\ud800"}`,
        `{"machineActionId":"${id}\\u0000","comment":"x"}`,
      ),
    ),
  },
);

/** Text that may be no JSON at all: only a program that writes keys by hand gets that into Redis. */
export const rawText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: dataText },
  {
    weight: 1,
    arbitrary: dataText.chain((text) => fc.nat(Math.max(0, text.length - 1)).map((at) => text.slice(0, at))),
  },
  { weight: 1, arbitrary: strangeText },
  {
    weight: 1,
    arbitrary: fc.constantFrom('undefined', 'NaN', "{'a':1}", nested(100_000), '\u0000', '{"a":1}}'),
  },
);

export const jobName: fc.Arbitrary<string> = fc.oneof(
  { weight: 9, arbitrary: fc.constant('cancel') },
  strangeText,
  fc.constantFrom('Cancel', 'cancel ', '__proto__', 'cancel\0'),
);

/** Options that BullMQ takes, and some that it refuses. */
export const jobOptions: fc.Arbitrary<JobsOptions> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  {
    weight: 4,
    arbitrary: fc
      .record(
        {
          delay: fc.oneof(fc.nat(50) as fc.Arbitrary<unknown>, fc.constantFrom(-1, 0.5, '10', null)),
          priority: fc.oneof(
            fc.nat(2 ** 21 - 1) as fc.Arbitrary<unknown>,
            fc.constantFrom(1.5, -1, 2 ** 21, '3'),
          ),
          attempts: fc.oneof(strangeNumber, fc.constantFrom<unknown>('3', null)),
          backoff: fc.oneof(strangeNumber, fc.constantFrom<unknown>({ type: 'none' }, 'x', { delay: -1 })),
          removeOnComplete: fc.constantFrom<unknown>(
            true,
            false,
            0,
            1,
            -1,
            { age: 1 },
            { count: -5 },
            'yes',
            null,
          ),
          removeOnFail: fc.constantFrom<unknown>(true, false, 0, { age: 0 }, 'no'),
          lifo: fc.constantFrom<unknown>(true, false, 'x'),
          timestamp: strangeNumber,
          keepLogs: strangeNumber,
          stackTraceLimit: strangeNumber,
          sizeLimit: fc.constantFrom<unknown>(10, 1e9, -1),
          deduplication: fc.constantFrom<unknown>({ id: 'd' }, { id: 'e', ttl: 5 }, { id: '' }, 7, null),
          repeat: fc.constantFrom<unknown>(undefined, null, { every: 1_000 }, { pattern: 'x' }),
          parent: fc.constantFrom<unknown>({ id: 'p', queue: 'bull:q' }, {}, null, 5, { id: 1, queue: 2 }),
          jobId: fc.oneof(strangeText, fc.constantFrom('wait', 'limiter', 'meta', 'events', '12')),
          telemetry: fc.constantFrom<unknown>({ metadata: 'x' }, null),
          failParentOnFailure: fc.boolean(),
          unknown: strangeJson,
        },
        { requiredKeys: [], noNullPrototype: true },
      )
      .chain((options) =>
        fc.subarray(Object.entries(options), { maxLength: 3 }).map((kept) => {
          const { timestamp, ...rest } = Object.fromEntries(kept) as Record<string, unknown>;
          // A delay counts from the job's own time: from the year 275760 on, it is delayed for ever, as was asked for.
          return rest['delay'] === undefined && timestamp !== undefined ? { ...rest, timestamp } : rest;
        }),
      ) as fc.Arbitrary<JobsOptions>,
  },
);

/** A job's hash as written by hand: most of it in order. */
export const rawHash: fc.Arbitrary<Record<string, string>> = fc
  .record({
    data: rawText,
    name: jobName,
    spoilt: fc.subarray(
      [
        'opts',
        'timestamp',
        'delay',
        'priority',
        'atm',
        'ats',
        'stc',
        'progress',
        'parent',
        'parentKey',
        'rjk',
        'deid',
        'defa',
        'id',
        'returnvalue',
        'stacktrace',
        'failedReason',
        'finishedOn',
        'processedOn',
        'pb',
      ],
      { maxLength: 2 },
    ),
    with: fc.array(
      fc.oneof(
        strangeText,
        strangeJson.map((value) => JSON.stringify(value) ?? ''),
      ),
      { minLength: 2, maxLength: 2 },
    ),
  })
  .map(({ data, name, spoilt, with: values }) => {
    const hash: Record<string, string> = {
      name,
      data,
      opts: '{}',
      timestamp: String(Date.now()),
      delay: '0',
      priority: '0',
    };
    for (const [at, field] of spoilt.entries()) hash[field] = values[at] ?? '';
    return hash;
  });
