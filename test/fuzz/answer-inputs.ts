import fc from 'fast-check';
import type { RawAnswer } from './answer-server.ts';
import { nested, strangeJson, strangeText } from './strange.ts';

/** An answer that is still to be told whom it is for. */
export type AnswerFor = (id: string, elsewhere: string) => RawAnswer;

type TextFor = (id: string, elsewhere: string) => Buffer;

const status = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(200, 400, 401, 403, 404, 429, 500, 503) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      100,
      101,
      102,
      103,
      199,
      201,
      204,
      206,
      226,
      301,
      302,
      303,
      304,
      307,
      308,
      407,
      408,
      418,
      421,
      451,
      502,
      504,
      599,
      600,
      999,
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 99, 1_000, -200) },
);

const retryAfter = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(
    '',
    ' ',
    '1e3',
    '0x10',
    '60, 120',
    '99999999999999999999',
    '-1',
    '+5',
    '½',
    'soon',
    '10 s',
    '\t7\t',
  ),
  fc.date().map((date) => (Number.isNaN(date.getTime()) ? 'Invalid Date' : date.toUTCString())),
  fc.constantFrom('Fri, 31 Dec 275760 23:59:59 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT', '2026-11-25'),
);

const header = fc.oneof(
  retryAfter.map((value) => `retry-after: ${value}`),
  fc.tuple(retryAfter, retryAfter).map(([one, two]) => `retry-after: ${one}\r\nRetry-After: ${two}`),
  fc.constantFrom(
    'content-encoding: gzip',
    'content-encoding: br, gzip, br',
    'transfer-encoding: gzip',
    'connection: upgrade\r\nupgrade: h2c',
    'connection: close',
    'keep-alive: timeout=0',
    'set-cookie: a=b; Domain=evil.example\r\nset-cookie: c=d',
    'strict-transport-security: max-age=1',
    'alt-svc: h3="evil.example:443"',
    'www-authenticate: Bearer claims="x"',
    'date: Thu, 01 Jan 1970 00:00:00 GMT',
    'date: never',
    'content-type: text/html; charset=utf-16',
    'content-length: 3',
    'content-length: -1',
    'content-length: 99999999999999999999',
    'transfer-encoding: chunked',
    'no colon at all',
    ': no name',
    'x-bytes: \u00ff\u0001',
    `x-long: ${'l'.repeat(20_000)}`,
    Array.from({ length: 300 }, (_, n) => `x-${n}: ${n}`).join('\r\n'),
  ),
);

const location = (elsewhere: string) => `location: ${elsewhere}/stolen\r\n`;

const action = (id: string, more: Record<string, unknown> = {}) =>
  Buffer.from(JSON.stringify({ id, status: 'Cancelled', type: 'Isolate', machineId: 'm', ...more }));

const text =
  (make: (id: string, elsewhere: string) => string): TextFor =>
  (id, elsewhere) =>
    Buffer.from(make(id, elsewhere));

const body: fc.Arbitrary<TextFor> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<TextFor>((id) => action(id)) },
  {
    weight: 4,
    arbitrary: fc
      .record(
        {
          id: fc.oneof(strangeJson, fc.constantFrom<unknown>('00000000-0000-4000-8000-000000000009')),
          status: strangeJson,
          type: strangeJson,
          machineId: strangeJson,
          computerDnsName: strangeJson,
          creationDateTimeUtc: strangeJson,
          lastUpdateDateTimeUtc: fc.oneof(
            strangeJson,
            fc.constantFrom<unknown>('+275760-09-13T00:00:00Z', '0000'),
          ),
          extra: strangeJson,
        },
        { requiredKeys: [], noNullPrototype: true },
      )
      .map<TextFor>((more) => (id) => action(id, more)),
  },
  { weight: 3, arbitrary: strangeJson.map<TextFor>((value) => text(() => JSON.stringify(value) ?? '')) },
  {
    weight: 3,
    arbitrary: fc
      .record(
        { code: strangeJson, message: strangeJson, target: strangeJson },
        { requiredKeys: [], noNullPrototype: true },
      )
      .map<TextFor>((error) => text(() => JSON.stringify({ error }))),
  },
  {
    weight: 2,
    arbitrary: fc.uint8Array({ maxLength: 300 }).map<TextFor>((bytes) => () => Buffer.from(bytes)),
  },
  { weight: 2, arbitrary: strangeText.map<TextFor>((value) => text(() => value)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<TextFor>(
      text((id) => `\ufeff${action(id)}`),
      text((id) => `${action(id)}${action(id)}`),
      text((id) => `{"__proto__":{"id":"${id}","status":"Cancelled"}}`),
      text((id) => `{"id":"${id}","status":"Pending","__proto__":{"status":"Cancelled"}}`),
      text((id) => `{"id":"${id}","status":"Cancelled","commands":${nested(50_000)}}`),
      text(() => nested(200_000)),
      text(() => nested(5_000, '{"error":', '}').replace(':}', ':1}')),
      text((id) => action(id).toString().slice(0, -9)),
      text((_, elsewhere) => `<html><meta http-equiv="refresh" content="0;url=${elsewhere}"></html>`),
      text(() => '{"error":{"code":"429","message":"Try again in 99999999999 seconds"}}'),
      text(() => '{"error":{"code":"429","message":"Rate limit is exceeded. Try again in 17 seconds."}}'),
      (id) =>
        Buffer.concat([action(id).subarray(0, 60), Buffer.from([0xff, 0xfe, 0xc3]), action(id).subarray(60)]),
      (id) => Buffer.from(action(id).toString(), 'utf16le'),
    ),
  },
);

/** How a body is put onto the wire. */
type Frame = (head: string, body: Buffer) => RawAnswer;

const whole: Frame = (head, bytes) => ({
  chunks: [Buffer.from(`${head}content-length: ${bytes.length}\r\n\r\n`, 'latin1'), bytes],
  after: 'keep',
});

const cut: Frame = (head, bytes) => ({
  chunks: [Buffer.from(`${head}content-length: ${bytes.length + 10}\r\n\r\n`, 'latin1'), bytes],
  after: 'end',
});

const chunked =
  (size: (bytes: number) => string, after: RawAnswer['after']): Frame =>
  (head, bytes) => ({
    chunks: [
      Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n${size(bytes.length)}\r\n`, 'latin1'),
      bytes,
      Buffer.from('\r\n0\r\n\r\n'),
    ],
    after,
  });

const frame: fc.Arbitrary<Frame> = fc.oneof(
  { weight: 8, arbitrary: fc.constant(whole) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Frame>(
      cut,
      (head, bytes) => ({ ...whole(head, bytes), after: 'reset' }),
      (head, bytes) => ({
        chunks: [
          Buffer.from(`${head}content-length: ${Math.floor(bytes.length / 2)}\r\n\r\n`, 'latin1'),
          bytes,
        ],
        after: 'keep',
      }),
      (head, bytes) => ({ chunks: [Buffer.from(`${head}\r\n`, 'latin1'), bytes], after: 'end' }),
      chunked((bytes) => bytes.toString(16), 'keep'),
      chunked((bytes) => `${bytes.toString(16)};name="x\ty"`, 'keep'),
      chunked((bytes) => (bytes + 7).toString(16), 'end'),
      chunked(() => 'zz', 'keep'),
      chunked(() => 'ffffffffffffffff', 'end'),
      chunked(() => '-1', 'keep'),
      (head, bytes) => {
        const { chunks, after } = whole(head, bytes);
        return {
          chunks: [
            Buffer.from('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'),
            ...chunks,
          ],
          after,
        };
      },
      (head, bytes) => ({
        chunks: [...whole(head, bytes).chunks, ...whole(head, bytes).chunks],
        after: 'keep',
      }),
      (_, bytes) => ({ chunks: [bytes], after: 'end' }),
      () => ({ chunks: [], after: 'end' }),
      () => ({ chunks: [], after: 'reset' }),
      () => ({ chunks: [Buffer.from('HTTP/1.1 200')], after: 'end' }),
      () => ({ chunks: [Buffer.from('HTTP/2.0 200 OK\r\n\r\n')], after: 'end' }),
    ),
  },
);

/** Long answers are rare: they only cost time. */
const oddities: fc.Arbitrary<AnswerFor> = fc.constantFrom<AnswerFor>(
  () => ({ chunks: [], after: 'keep' }),
  (id) => whole('HTTP/1.1 200 OK\r\n', Buffer.concat([action(id), Buffer.alloc(10 * 1024 * 1024, ' ')])),
  () => whole('HTTP/1.1 200 OK\r\n', Buffer.alloc(33 * 1024 * 1024, '[')),
  () => ({ chunks: [Buffer.from(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(2_000_000)}`)], after: 'end' }),
);

export const rawAnswer: fc.Arbitrary<AnswerFor> = fc.oneof(
  {
    weight: 80,
    arbitrary: fc.record({ status, headers: fc.array(header, { maxLength: 2 }), body, frame }).map(
      ({ status, headers, body, frame }): AnswerFor =>
        (id, elsewhere) => {
          const lines = headers.map((line) => `${line}\r\n`).join('');
          const redirect = status >= 300 && status < 400 ? location(elsewhere) : '';
          return frame(`HTTP/1.1 ${status} Text\r\n${redirect}${lines}`, body(id, elsewhere));
        },
    ),
  },
  { weight: 1, arbitrary: oddities },
);

const nextLink = (own: string, elsewhere: string): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 2, arbitrary: fc.nat().map((skip) => `${own}/api/machineactions?$skip=${skip}`) },
    { weight: 1, arbitrary: badLink(own, elsewhere) },
  );

const badLink = (own: string, elsewhere: string) =>
  fc.constantFrom<unknown>(
    7,
    '',
    '?$skip=1',
    `${own}/API/MachineActions?$skip=3`,
    `${own}/api/machineactions/../machines?$skip=1`,
    `${own}/api/machineactions/%2e%2e/machines`,
    `${own}/api/machineactions;x?$skip=1`,
    `${own}/api/machines?$skip=1`,
    `${own.replace('https://', 'https://user:word@')}/api/machineactions?$skip=1`,
    `${own}@evil.example/api/machineactions`,
    `${own}.evil.example/api/machineactions`,
    `${own.replace('https', 'http')}/api/machineactions?$skip=1`,
    `${elsewhere}/api/machineactions?$skip=1`,
    `//${elsewhere.replace('https://', '')}/api/machineactions?$skip=1`,
    `\\\\${elsewhere.replace('https://', '')}/api/machineactions`,
    `/\\${elsewhere.replace('https://', '')}/api/machineactions`,
    'javascript:alert(1)',
    'file:///etc/passwd',
    `${own}/api/machineactions?$skip=1\r\nHost: evil.example`,
    `${own}/api/machineactions?${'x'.repeat(100_000)}`,
    `${own}/api/machineactions#${elsewhere}`,
  );

/** A page of the list, good or not, that leads on to somewhere. */
export function rawPage(own: string, elsewhere: string): fc.Arbitrary<string> {
  const entry = fc.oneof(
    fc.uuid().map((id): unknown => ({ id, status: 'Pending', type: 'Isolate' })),
    strangeJson.map((id): unknown => ({ id, status: 'Pending' })),
    strangeJson,
  );
  return fc
    .record({
      value: fc.oneof(
        { weight: 9, arbitrary: fc.array(entry, { maxLength: 5 }) as fc.Arbitrary<unknown> },
        strangeJson,
      ),
      link: nextLink(own, elsewhere),
    })
    .map(({ value, link }) => JSON.stringify({ value, '@odata.nextLink': link }));
}
