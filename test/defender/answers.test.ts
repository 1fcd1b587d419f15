import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import type { Dispatcher } from 'undici';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { classify, type Meaning, outcomeOf } from '../../src/defender/classify.ts';
import { createClient, createDispatcher } from '../../src/defender/client.ts';
import { createSignIn } from '../../src/defender/sign-in.ts';
import { type AnswerServer, plainAnswer, type RawAnswer, startAnswerServer } from '../fuzz/answer-server.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const OTHER = '00000000-0000-4000-8000-000000000002';
const DONE = { commandStatus: 'Completed', endTime: '2026-11-25T09:04:05Z' };

const error = (code: string) =>
  JSON.stringify({ error: { code, message: 'The API says why.', target: 't' } });
const action = (more: Record<string, unknown> = {}) =>
  JSON.stringify({ id: ID, status: 'Cancelled', type: 'LiveResponse', ...more });
const coded = (name: string, bytes: Buffer, status = 200) =>
  plainAnswer(status, bytes, `content-encoding: ${name}\r\n`);

/** A body that ends before its length says so. */
const cut = (status: number, body: string): RawAnswer => ({
  chunks: [Buffer.from(`HTTP/1.1 ${status} OK\r\ncontent-length: ${body.length + 10}\r\n\r\n${body}`)],
  after: 'end',
});

/** One answer to a cancel, and what it is taken for: `lost` where the call may have been carried out, the outcome of an action. */
const ROWS: [what: string, answer: RawAnswer, taken: string, code?: string][] = [
  // The API's own verdicts, and the same statuses from anybody.
  ['404 with the error object', plainAnswer(404, error('ResourceNotFound')), 'not_found', 'ResourceNotFound'],
  ['403 with the error object', plainAnswer(403, error('Forbidden')), 'forbidden', 'Forbidden'],
  ['400 with the error object', plainAnswer(400, error('BadRequest')), 'bad_request', 'BadRequest'],
  ['410 with the error object', plainAnswer(410, error('Gone')), 'rejected', 'Gone'],
  ['404 without a body', plainAnswer(404, ''), 'lastly not_found', 'NO_REASON'],
  [
    '404 of a gateway',
    plainAnswer(404, '{"statusCode":404,"message":"Resource not found"}'),
    'lastly not_found',
  ],
  ['404 of a router', plainAnswer(404, '{"Message":"No HTTP resource was found"}'), 'lastly not_found'],
  ['404 with an error that is a text', plainAnswer(404, '{"error":"NotFound"}'), 'lastly not_found'],
  ['404 with an error without a code', plainAnswer(404, '{"error":{"message":"x"}}'), 'lastly not_found'],
  ['404 with a list', plainAnswer(404, '[]'), 'lastly not_found'],
  ['404 with a page', plainAnswer(404, '<html>'), 'lastly not_found, a fault'],
  ['403 without a body', plainAnswer(403, ''), 'lastly forbidden', 'NO_REASON'],
  ['403 with a page', plainAnswer(403, '<html>'), 'lastly forbidden, a fault'],
  ['400 without a body', plainAnswer(400, ''), 'lastly check'],
  ['410 without a body', plainAnswer(410, ''), 'lastly rejected'],
  // What may pass.
  ['409 with the error object', plainAnswer(409, error('Conflict')), 'lastly rejected, alive', 'Conflict'],
  ['423 with the error object', plainAnswer(423, error('Locked')), 'lastly rejected, alive'],
  ['425 with the error object', plainAnswer(425, error('TooEarly')), 'lastly rejected, alive'],
  ['409 without a body', plainAnswer(409, ''), 'lastly rejected'],
  // What the server may have done although it does not say so.
  [
    '500 with the error object',
    plainAnswer(500, error('InternalServerError')),
    'lost',
    'InternalServerError',
  ],
  ['503 with a page', plainAnswer(503, '<html>'), 'lost', 'UNREADABLE'],
  ['504 with JSON', plainAnswer(504, '{"error":{"code":"GatewayTimeout","message":"x"}}'), 'lost'],
  ['408', plainAnswer(408, error('RequestTimeout')), 'lost'],
  ['201', plainAnswer(201, action()), 'lost'],
  ['202 without a body', plainAnswer(202, ''), 'lost', 'UNREADABLE'],
  ['204', { chunks: [Buffer.from('HTTP/1.1 204 No Content\r\n\r\n')], after: 'keep' }, 'lost'],
  ['200 without a body', plainAnswer(200, ''), 'lost', 'UNREADABLE'],
  ['200 about another action', plainAnswer(200, action({ id: OTHER })), 'lost', 'UNREADABLE'],
  ['200 with an error', plainAnswer(200, error('BadRequest')), 'lost', 'UNREADABLE'],
  ['200 with a status that is a number', plainAnswer(200, `{"id":"${ID}","status":1e999}`), 'lost'],
  ['200 that is cut, and says so', cut(200, action()), 'lost'],
  ['404 that is cut, and says so', cut(404, error('ResourceNotFound')), 'lost'],
  ['200 that is cut', plainAnswer(200, action().slice(0, -5)), 'lost', 'UNREADABLE'],
  // A redirect was not carried out, and is not followed; nor is the proxy's own refusal the API's.
  ['307', plainAnswer(307, '', 'location: https://localhost:1/\r\n'), 'not lost'],
  ['407', plainAnswer(407, ''), 'not lost'],
  // The object, and what state it is in.
  ['200, Cancelled', plainAnswer(200, action()), 'cancelled'],
  ['200, cancelled', plainAnswer(200, action({ status: 'cancelled' })), 'cancelled'],
  ['200, Canceled', plainAnswer(200, action({ status: 'Canceled' })), 'cancelled'],
  ['200, CANCELED', plainAnswer(200, action({ status: 'CANCELED' })), 'cancelled'],
  ['200, succeeded', plainAnswer(200, action({ status: 'succeeded' })), 'already_final'],
  ['200, Cancelling', plainAnswer(200, action({ status: 'Cancelling' })), 'accepted'],
  ['200 with a byte-order mark', plainAnswer(200, `\ufeff${action()}`), 'cancelled'],
  [
    '200 with two statuses: the last counts',
    plainAnswer(200, action().replace('}', ',"status":"Pending"}')),
    'accepted',
  ],
  [
    '200 with a number beyond all bounds',
    plainAnswer(200, action().replace('}', ',"errorHResult":1e999}')),
    'cancelled',
  ],
  [
    '200, a command completed',
    plainAnswer(200, action({ commands: [DONE] })),
    'already_final',
    'COMMAND_COMPLETED',
  ],
  [
    '200, one of two completed',
    plainAnswer(200, action({ commands: [{ commandStatus: 'Failed' }, DONE] })),
    'already_final',
  ],
  [
    '200, Canceled, a command COMPLETED',
    plainAnswer(200, action({ status: 'Canceled', commands: [{ commandStatus: 'COMPLETED' }] })),
    'already_final',
  ],
  [
    '200, no command completed',
    plainAnswer(200, action({ commands: [{ commandStatus: 'Cancelled' }, null, 7] })),
    'cancelled',
  ],
  ['200, commands that are none', plainAnswer(200, action({ commands: 'Completed' })), 'cancelled'],
  [
    '200, Pending, a command completed',
    plainAnswer(200, action({ status: 'Pending', commands: [DONE] })),
    'accepted',
  ],
  // Compressed although identity was asked for.
  ['gzip', coded('gzip', gzipSync(action())), 'cancelled'],
  ['X-GZIP', coded('X-GZIP', gzipSync(action())), 'cancelled'],
  ['br', coded('br', brotliCompressSync(action())), 'cancelled'],
  ['deflate', coded('deflate', deflateSync(action())), 'cancelled'],
  ['deflate without its frame', coded('deflate', deflateRawSync(action())), 'cancelled'],
  ['deflate, then gzip', coded('deflate, gzip', gzipSync(deflateSync(action()))), 'cancelled'],
  ['identity', coded('identity', Buffer.from(action())), 'cancelled'],
  ['404 in gzip', coded('gzip', gzipSync(error('NotFound')), 404), 'not_found'],
  ['gzip without a body', coded('gzip', Buffer.alloc(0), 404), 'lastly not_found'],
  ['gzip that is none', coded('gzip', Buffer.from(action())), 'lost', 'UNDECODABLE'],
  [
    '404 in broken gzip',
    coded('gzip', gzipSync(error('NotFound')).subarray(0, 20), 404),
    'lost',
    'UNDECODABLE',
  ],
  ['an encoding that nobody knows', coded('compress', Buffer.from(action())), 'lost', 'UNDECODABLE'],
  [
    'gzip again and again',
    coded('gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(action())))),
    'lost',
    'UNDECODABLE',
  ],
  [
    'a few kB that would be 40 MB',
    coded('br', brotliCompressSync(Buffer.alloc(40e6, ' '))),
    'lost',
    'TOO_LARGE',
  ],
];

describe('an answer to a cancel', () => {
  const authorities = tls.getCACertificates('default');
  let server: AnswerServer;
  let dispatcher: Dispatcher;

  before(async () => {
    server = await startAnswerServer(authorities);
    dispatcher = createDispatcher({ connections: 1, httpsProxy: null, noProxy: null });
  });
  after(async () => {
    await dispatcher.destroy();
    await server.stop();
    assert.equal(server.elsewhere.connections, 0);
  });

  async function cancel(answer: RawAnswer): Promise<Meaning> {
    server.answer = () => answer;
    const client = createClient({ apiUrl: server.url, dispatcher });
    return classify(await client.cancel(ID, 'x', { accessToken: 'x', timeoutMs: 20_000 }), ID, Date.now());
  }

  for (const [what, answer, taken, code] of ROWS) {
    it(`${what}: ${taken}`, async () => {
      const meaning = await cancel(answer);
      assert.equal(describeMeaning(meaning), taken);
      if (code !== undefined) assert.equal(meaning.detail.errorCode, code);
      assert.match(server.asked.at(-1)?.head ?? '', /^accept-encoding: identity\r?$/im);
    });
  }

  it('says how far a cancel came too late, and where nobody gave a reason', async () => {
    const late = await cancel(plainAnswer(200, action({ commands: [DONE, { commandStatus: 'Cancelled' }] })));
    const words = 'cancelled too late: 1 of 2 commands had completed (the last at 2026-11-25T09:04:05.000Z)';
    assert.deepEqual([late.detail.errorMessage, late.detail.action?.status], [words, 'Cancelled']);
    const bare = await cancel(plainAnswer(404, ''));
    assert.equal(bare.detail.errorMessage, 'the API gave no reason');
    const page = await cancel(plainAnswer(404, '<p>Nobody  home'));
    assert.equal(page.detail.errorMessage, 'the API gave no reason; the answer was: <p>Nobody home');
  });

  it('has times in ISO 8601, or none, under either name', async () => {
    const times: [Record<string, unknown>, string | null][] = [
      [{ lastUpdateDateTimeUtc: '2026-11-25T09:04:05.1234567Z' }, '2026-11-25T09:04:05.123Z'],
      [{ lastUpdateDateTimeUtc: '2026-11-25T09:04:05' }, '2026-11-25T09:04:05.000Z'],
      [{ lastUpdateDateTimeUtc: '2026-11-25T11:04:05+02:00' }, '2026-11-25T09:04:05.000Z'],
      [{ lastUpdateTimeUtc: '2026-11-25T09:04:05Z' }, '2026-11-25T09:04:05.000Z'],
      [
        { lastUpdateDateTimeUtc: null, lastUpdateTimeUtc: '2026-11-25T09:04:05Z' },
        '2026-11-25T09:04:05.000Z',
      ],
      [
        { lastUpdateDateTimeUtc: '2026-11-25T09:04:05Z', lastUpdateTimeUtc: '2001-01-01T00:00:00Z' },
        '2026-11-25T09:04:05.000Z',
      ],
      ...['7', '45.9', 'Wed Nov 25 2026', 'action 12', '2026-11-25T99:04:05Z', '25/11/2026', ''].map(
        (text): [Record<string, unknown>, null] => [{ lastUpdateDateTimeUtc: text }, null],
      ),
    ];
    for (const [given, updatedAt] of times) {
      const { detail } = await cancel(plainAnswer(200, action(given)));
      assert.equal(detail.action?.updatedAt, updatedAt, JSON.stringify(given));
    }
  });

  it('gzip in the way of the sign-in, too', async () => {
    server.answer = ({ path }) => {
      const base = `${server.url}/${ID}`;
      const endpoints = { token_endpoint: `${base}/oauth2/v2.0/token`, authorization_endpoint: base };
      const body = path.includes('openid-configuration')
        ? { ...endpoints, issuer: base, jwks_uri: base }
        : { token_type: 'Bearer', expires_in: 3_600, access_token: 'a-token' };
      return coded('gzip', gzipSync(JSON.stringify(body)));
    };
    const signIn = createSignIn({
      config: {
        authorityHost: server.url,
        tenantId: ID,
        clientId: ID,
        scope: 'https://api.example/.default',
        credential: { kind: 'secret', secret: new Secret('a-secret-for-answers') },
      },
      dispatcher,
      clock: systemClock,
      timings: TIMINGS,
      timeoutMs: 5_000,
    });
    assert.equal((await signIn.token()).accessToken, 'a-token');
  });
});

function describeMeaning(meaning: Meaning): string {
  switch (meaning.kind) {
    case 'action':
      return outcomeOf(meaning.action);
    case 'fault':
      return meaning.lost ? 'lost' : 'not lost';
    case 'inconclusive': {
      const sign = { none: '', fault: ', a fault', alive: ', alive' }[meaning.sign];
      return `lastly ${meaning.lastly}${sign}`;
    }
    default:
      return meaning.kind;
  }
}
