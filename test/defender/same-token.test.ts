import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { createDispatcher } from '../../src/defender/client.ts';
import { createSignIn } from '../../src/defender/sign-in.ts';

test('a managed identity that gets the same token again: refused ones rest for 5 minutes, its 403s are believed', async (t) => {
  let asked = 0;
  const platform = createServer((_request, response) => {
    asked++;
    const expires_on = Math.floor(Date.now() / 1_000) + 86_400;
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ access_token: 'the-same', expires_on, token_type: 'Bearer', resource: 'x' }),
    );
  }).listen(0, '127.0.0.1');
  await once(platform, 'listening');
  // msal looks in the environment, once; this file has a process of its own.
  process.env['IDENTITY_ENDPOINT'] = `http://127.0.0.1:${(platform.address() as AddressInfo).port}/token`;
  process.env['IDENTITY_HEADER'] = 'header';
  const dispatcher = createDispatcher({ connections: 1, httpsProxy: null, noProxy: null });
  t.after(async () => {
    await dispatcher.destroy();
    platform.close();
  });
  let aheadMs = 0;
  const signIn = createSignIn({
    config: {
      tenantId: null,
      clientId: null,
      credential: { kind: 'managed', clientId: null },
      authorityHost: null,
      scope: 'https://api.example/.default',
    },
    dispatcher,
    clock: { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs },
    timeoutMs: 5_000,
    timings: TIMINGS,
  });
  const first = await signIn.token();
  signIn.doubt();
  assert.ok(!signIn.believes(first));
  const again = await signIn.renewed(first);
  assert.deepEqual([again.accessToken, asked], ['the-same', 2]);
  assert.ok(signIn.believes(again));

  signIn.refuse(again);
  await assert.rejects(signIn.token(), { code: 'token_refused' });
  aheadMs = 299_000;
  await assert.rejects(signIn.token(), { code: 'token_refused' });
  assert.equal(asked, 4);
  aheadMs = 303_000;
  assert.ok(!signIn.isRefused(await signIn.token()));
});
