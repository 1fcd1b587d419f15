import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import tls from 'node:tls';
import type { Dispatcher } from 'undici';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { classify } from '../../src/defender/classify.ts';
import { createClient, createDispatcher } from '../../src/defender/client.ts';
import { createSignIn } from '../../src/defender/sign-in.ts';
import { type AnswerServer, plainAnswer, startAnswerServer } from '../fuzz/answer-server.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const AUTHORITIES = tls.getCACertificates('default');

let server: AnswerServer;
let dispatcher: Dispatcher;

before(async () => {
  server = await startAnswerServer(AUTHORITIES);
  dispatcher = createDispatcher({ connections: 1, httpsProxy: null, noProxy: null });
});
after(async () => {
  await dispatcher.destroy();
  await server.stop();
});

it('an answer about another action, or about none, is no success', async () => {
  const client = createClient({ apiUrl: server.url, dispatcher });
  for (const id of [
    '../machines',
    `${ID}/cancel`,
    '',
    ID.replace('-', '‐'),
    ID.replace('1', '2'),
    [ID],
    null,
  ]) {
    server.answer = () => plainAnswer(200, JSON.stringify({ id, status: 'Cancelled' }));
    const answer = await client.cancel(ID, 'x', { accessToken: 'x', timeoutMs: 5_000 });
    const meaning = classify(answer, ID, Date.now());
    assert.deepEqual([meaning.kind, meaning.detail.errorCode], ['fault', 'UNREADABLE'], String(id));
  }
});

for (const token of [{ toString: 'x' }, ['a'], 7, true, 'a\r\nHost: evil.example', 'ä', ' ']) {
  it(`${JSON.stringify(token)} is no access token`, async () => {
    server.answer = ({ path }) => {
      const base = `${server.url}/${ID}`;
      if (path.includes('openid-configuration')) {
        const endpoints = { token_endpoint: `${base}/oauth2/v2.0/token`, authorization_endpoint: base };
        return plainAnswer(200, JSON.stringify({ ...endpoints, issuer: base, jwks_uri: base }));
      }
      return plainAnswer(
        200,
        JSON.stringify({ token_type: 'Bearer', expires_in: 3_600, access_token: token }),
      );
    };
    const signIn = createSignIn({
      config: {
        authorityHost: server.url,
        tenantId: ID,
        clientId: ID,
        scope: 'https://api.example/.default',
        credential: { kind: 'secret', secret: new Secret('a-secret-for-odd-answers') },
      },
      dispatcher,
      clock: systemClock,
      timings: TIMINGS,
      timeoutMs: 5_000,
    });
    await assert.rejects(signIn.token(), { code: 'unreadable_answer' });
  });
}
