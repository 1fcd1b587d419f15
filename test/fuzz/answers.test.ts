import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import type { Dispatcher } from 'undici';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { StanddownError } from '../../src/base/errors.ts';
import { excerpt } from '../../src/base/foreign.ts';
import { Secret } from '../../src/base/secret.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { classify, type Meaning } from '../../src/defender/classify.ts';
import { createClient, createDispatcher, readListing } from '../../src/defender/client.ts';
import type { HttpAnswer, NoAnswer } from '../../src/defender/exchange.ts';
import { createReader } from '../../src/defender/reader.ts';
import { createSignIn, type SignIn, SignInError } from '../../src/defender/sign-in.ts';
import { selectActions } from '../../src/files/select/selection.ts';
import { parseWhere } from '../../src/files/select/where.ts';
import { createOperationBudget } from '../../src/store/budget/operation.ts';
import { judgeCancel, judgeCheck } from '../../src/worker/verdict.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant } from '../support/tenant.ts';
import { type AnswerFor, rawAnswer, rawPage } from './answer-inputs.ts';
import { type AnswerServer, plainAnswer, startAnswerServer } from './answer-server.ts';
import { COSTLY_RUNS, SEED, strangeJson } from './strange.ts';

const AUTHORITIES = tls.getCACertificates('default');
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const AT_ONCE = 20;
/** Of what is done one after the other. */
const SLOW_RUNS = Math.ceil(COSTLY_RUNS / 5);
const TIMEOUT_MS = 1_500;
/** For calls that are made one after the other, and five times where nobody answers. */
const SHORT_MS = 300;
const TENANT = '00000000-0000-4000-8000-0000000000aa';
/** Where msal asks which address gives tokens, and that address. */
const SIGN_IN_PATHS = new RegExp(
  `^/${TENANT}/(v2\\.0/\\.well-known/openid-configuration|oauth2/v2\\.0/token)(\\?|$)`,
);
/** A token of no signature: what it says is only read for its roles. */
const TOKEN = `${part({ alg: 'none' })}.${part({ roles: ['Machine.Read.All', 'Machine.Isolate'] })}.x`;
const IN_NO_TIME: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 1_000, signal) };

/** What gives tokens, one or two of whose fields are not what they should be. */
const tokenAnswer: fc.Arbitrary<AnswerFor> = fc
  .record(
    {
      access_token: fc.oneof(fc.constant<unknown>(TOKEN), strangeJson),
      token_type: fc.oneof(fc.constant<unknown>('Bearer'), strangeJson),
      expires_in: fc.oneof(fc.constant<unknown>(3_600), strangeJson),
      ext_expires_in: strangeJson,
      refresh_in: strangeJson,
      error: strangeJson,
    },
    { requiredKeys: ['access_token'], noNullPrototype: true },
  )
  .map((more) => {
    const { error, ...answer } = { token_type: 'Bearer', expires_in: 3_600, ...more };
    const body = JSON.stringify(error === 0 ? { error } : answer);
    return () => plainAnswer(200, body);
  });

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

describe('answers that no API gives', () => {
  let server: AnswerServer;
  let redis: TestRedis;
  let dispatcher: Dispatcher;
  let answers: AnswerFor[];

  before(async () => {
    redis = await openTestRedis();
    answers = fc.sample(rawAnswer, { numRuns: COSTLY_RUNS, seed: SEED });
  });
  after(() => redis.close());
  // One each: what was asked last in one test may arrive in the next.
  beforeEach(async () => {
    server = await startAnswerServer(AUTHORITIES);
    dispatcher = createDispatcher({ connections: AT_ONCE, httpsProxy: null, noProxy: null });
  });
  afterEach(async () => {
    await dispatcher.destroy();
    await server.stop();
    assert.equal(server.elsewhere.connections, 0, 'nobody went elsewhere');
  });

  const signIn = (): SignIn =>
    createSignIn({
      config: {
        authorityHost: server.url,
        tenantId: TENANT,
        clientId: TENANT,
        scope: 'https://api.example/.default',
        credential: { kind: 'secret', secret: new Secret('a-secret-of-the-fuzz') },
      },
      dispatcher,
      clock: systemClock,
      timeoutMs: TIMEOUT_MS,
      timings: TIMINGS,
    });

  const discovery = () => {
    const base = `${server.url}/${TENANT}`;
    const endpoints = {
      token_endpoint: `${base}/oauth2/v2.0/token`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      issuer: `${base}/v2.0`,
      jwks_uri: `${base}/keys`,
    };
    return plainAnswer(200, JSON.stringify(endpoints));
  };

  /** What must hold of every answer, however odd. */
  function judge(answer: HttpAnswer | NoAnswer, id: string): Meaning {
    const meaning = classify(answer, id, Date.now());
    if (meaning.kind === 'throttled') {
      assert.ok(
        Number.isFinite(meaning.retryAfterMs) && meaning.retryAfterMs >= 1_000,
        String(meaning.retryAfterMs),
      );
    }
    if (meaning.kind === 'action') {
      assert.ok(answer.kind === 'answer' && answer.status === 200);
      const said = JSON.parse(answer.body.replace(/^\ufeff/, '')) as { id: string; status: string };
      assert.deepEqual(
        [said.id.toLowerCase(), excerpt(said.status, 300)],
        [id, meaning.action.summary.status],
      );
    }
    for (const text of Object.values(meaning.detail)) {
      if (typeof text === 'string') assert.ok(text.length <= 320);
    }
    const circumstances = {
      attempts: 1,
      random: 0.5,
      mayRead: true,
      freshToken: false,
      probe: false,
      listed: false,
      timings: TIMINGS,
    };
    assert.ok(judgeCancel(meaning, circumstances).verdict);
    assert.ok(judgeCheck(meaning, circumstances, {}).verdict);
    return meaning;
  }

  it('to cancel, Get and the list have a clear meaning each, in time, and lead nowhere', async (t) => {
    const client = createClient({ apiUrl: server.url, dispatcher });
    const byId = new Map<string, AnswerFor>();
    const meanings = new Map<string, number>();
    server.answer = ({ path }) => {
      const id = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(decodeURIComponent(path))?.[0] ?? '';
      return byId.get(id)?.(id, server.elsewhere.url) ?? plainAnswer(500, '');
    };
    const rssBefore = process.memoryUsage().rss;
    let rssPeak = rssBefore;
    const ask = async (answer: AnswerFor, index: number) => {
      const id = randomUUID();
      byId.set(id, answer);
      const options = { accessToken: TOKEN, timeoutMs: TIMEOUT_MS };
      const kind = (['cancel', 'get', 'list'] as const)[index % 3] ?? 'cancel';
      const got = await (kind === 'cancel'
        ? client.cancel(id, 'x', options)
        : kind === 'get'
          ? client.get(id, options)
          : client.list([id], options));
      byId.delete(id);
      const meaning = judge(got, id);
      if (got.kind === 'answer' && kind === 'list') readListing(got);
      meanings.set(meaning.kind, (meanings.get(meaning.kind) ?? 0) + 1);
    };
    for (let at = 0; at < answers.length; at += AT_ONCE) {
      await Promise.all(answers.slice(at, at + AT_ONCE).map((answer, index) => ask(answer, at + index)));
      rssPeak = Math.max(rssPeak, process.memoryUsage().rss);
    }
    for (const { method, path, host } of server.asked) {
      assert.equal(`https://${host}`, server.url);
      assert.match(
        `${method} ${path}`,
        /^(POST \/api\/machineactions\/[0-9a-f-]{36}\/cancel|GET \/api\/machineactions(\/[0-9a-f-]{36}|\?.*))$/,
      );
    }
    // And each has ended: of what never ends there is enough among them. On a busy machine some have, unsent.
    const asked = server.asked.map(({ method, path }) => `${method} ${path}`);
    assert.equal(new Set(asked).size, asked.length, 'no call is repeated');
    assert.ok(asked.length > 0);
    const grownMiB = (rssPeak - rssBefore) / 2 ** 20;
    assert.ok(grownMiB < 1_200, `${grownMiB} MiB`);
    const counted = JSON.stringify(Object.fromEntries(meanings));
    t.diagnostic(`${answers.length} answers (seed ${SEED}): ${counted}; ${grownMiB.toFixed(0)} MiB at most`);
  });

  it('to the sign-in end in a token or in a sign-in error', async (t) => {
    const outcomes = new Map<string, number>();
    const tokens: AnswerFor[] = [
      ...fc.sample(tokenAnswer, { numRuns: SLOW_RUNS, seed: SEED }),
      ...answers.slice(0, SLOW_RUNS),
    ];
    for (const [index, answer] of tokens.entries()) {
      // Every seventh is odd from the very first question on; the others where the token is asked for.
      server.answer = ({ path }) =>
        index % 7 !== 0 && path.includes('openid-configuration')
          ? discovery()
          : answer(TENANT, server.elsewhere.url);
      const outcome = await signIn()
        .token()
        .then(
          ({ accessToken, expiresAt, renewAt }) => {
            assert.match(accessToken, /^[!-~]+$/, 'it becomes a header');
            assert.ok(Number.isFinite(expiresAt) && Number.isFinite(renewAt), `${expiresAt} ${renewAt}`);
            return 'token';
          },
          (error: unknown) => {
            assert.ok(error instanceof SignInError, String(error));
            assert.ok(error.code !== '' && !error.message.includes('a-secret-of-the-fuzz'));
            return 'error';
          },
        );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    for (const { path, host } of server.asked) {
      assert.equal(`https://${host}`, server.url);
      assert.match(path, SIGN_IN_PATHS);
    }
    t.diagnostic(
      `${tokens.length} answers to the sign-in (seed ${SEED}): ${JSON.stringify(Object.fromEntries(outcomes))}`,
    );
  });

  it('as pages of the list end, in actions or in an error, and never lead to another address', async (t) => {
    const pages = fc.sample(rawPage(server.url, server.elsewhere.url), { numRuns: SLOW_RUNS, seed: SEED });
    const connection = await redis.connect('ledger');
    // Each tenant listens to its connection, and here many share one.
    connection.setMaxListeners(0);
    const tokens = signIn();
    let next = 0;
    let [read, refused, actions] = [0, 0, 0];
    while (next < pages.length) {
      // Each reading begins with what comes next; after some pages the list ends, for most lead on and on.
      let budgetOfPages = 4;
      server.answer = ({ path }) => {
        if (path.includes('openid-configuration')) return discovery();
        if (path.includes('/oauth2/')) {
          return plainAnswer(
            200,
            JSON.stringify({ token_type: 'Bearer', expires_in: 3_600, access_token: TOKEN }),
          );
        }
        if (budgetOfPages-- <= 0) return plainAnswer(200, '{"value":[]}');
        const page = pages[next++];
        const odd = answers[next % answers.length];
        if (next % 5 === 0 && odd) return odd(TENANT, server.elsewhere.url);
        return plainAnswer(200, page ?? '{"value":[]}');
      };
      const tenant = await newTenant(connection, { RATE_LIMITS: '100000/1s', DEFENDER_API_URL: server.url });
      const reader = createReader({
        signIn: tokens,
        client: createClient({ apiUrl: server.url, dispatcher }),
        budget: createOperationBudget({
          ...tenant.epoch,
          windows: tenant.limits.windows,
          callTimeoutMs: TIMEOUT_MS,
        }),
        clock: IN_NO_TIME,
        random: () => 0,
        callTimeoutMs: SHORT_MS,
        timings: TIMINGS,
        signal: AbortSignal.timeout(300_000),
        onWait: ({ reason }) => {
          if (reason === 'penalty') throw new StanddownError('UPSTREAM_FAILED', 'it says to wait');
        },
      });
      const started = next;
      try {
        const selected = await selectActions(reader, parseWhere('status=Pending', Date.now()));
        for (const { id } of selected.actions) assert.match(id, GUID);
        actions += selected.actions.length;
        read++;
      } catch (error) {
        assert.ok(error instanceof StanddownError, String(error));
        assert.ok(
          error.code === 'UPSTREAM_FAILED' || error.code === 'NOT_PERMITTED',
          `${error.code} ${error.message}`,
        );
        refused++;
      }
      if (next === started) next++;
    }
    for (const { method, path, host } of server.asked) {
      assert.equal(`https://${host}`, server.url);
      if (!SIGN_IN_PATHS.test(path)) assert.match(`${method} ${path}`, /^GET \/api\/machineactions(\?|$)/);
    }
    t.diagnostic(
      `${pages.length} pages (seed ${SEED}): ${read} lists read with ${actions} actions, ${refused} refused`,
    );
  });
});
