import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { createLocalJWKSet, decodeJwt, importPKCS8, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose';
import { generate } from 'selfsigned';
import { ALL_ROLES, type Simulator } from '../../src/simulator/index.ts';
import { msalFor } from './msal.ts';
import { ask, askForToken, COMMENT, ID, type Reply, startBench, trustingAgent } from './support.ts';

interface EntraError {
  error: string;
  error_description: string;
  error_codes: number[];
  timestamp: string;
  trace_id: string;
  correlation_id: string;
}

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

async function makeClientCertificate() {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'client' }], {
    keySize: 2048,
    algorithm: 'sha256',
  });
  const sha256 = createHash('sha256').update(new X509Certificate(cert).raw);
  return { cert, key, thumbprintSha256: sha256.digest('hex') };
}

async function agentFor(t: TestContext, simulator: Simulator) {
  const agent = await trustingAgent(simulator.caFile);
  t.after(() => agent.destroy());
  return agent;
}

it('lets msal sign in with a secret, and the API takes the token', async (t) => {
  const { simulator, cancel } = await startBench(t);
  const { clientSecret, scope } = simulator;
  const client = msalFor(simulator, { clientSecret }, await agentFor(t, simulator));
  const result = await client.acquireTokenByClientCredential({ scopes: [scope] });
  assert.ok(result);
  assert.equal((await cancel(ID, { token: result.accessToken })).status, 200);
  const left = (result.expiresOn?.getTime() ?? 0) - Date.now();
  // msal rounds its clock to the second.
  assert.ok(left > 3_590_000 && left <= 3_601_000, `${left}`);
  const again = await client.acquireTokenByClientCredential({ scopes: [scope] });
  assert.deepEqual([again?.accessToken, again?.fromCache], [result.accessToken, true]);
});

it('lets msal sign in with a certificate', async (t) => {
  const { cert, key, thumbprintSha256 } = await makeClientCertificate();
  const { simulator, cancel } = await startBench(t, { clientCertificate: cert });
  const agent = await agentFor(t, simulator);
  const clientCertificate = { thumbprintSha256, privateKey: key, x5c: cert };
  const client = msalFor(simulator, { clientCertificate }, agent);
  const result = await client.acquireTokenByClientCredential({ scopes: [simulator.scope] });
  assert.equal((await cancel(ID, { token: result?.accessToken ?? '' })).status, 200);

  const { key: otherKey } = await makeClientCertificate();
  const forged = { ...clientCertificate, privateKey: otherKey };
  const impostor = msalFor(simulator, { clientCertificate: forged }, agent);
  await assert.rejects(
    impostor.acquireTokenByClientCredential({ scopes: [simulator.scope] }),
    /AADSTS700027/,
  );
});

it('lets msal sign in over its own HTTP where the certificate is trusted, and not elsewhere', async (t) => {
  const { simulator, cancel } = await startBench(t);
  const run = (env: NodeJS.ProcessEnv) =>
    promisify(execFile)(
      process.execPath,
      [new URL('msal-process.ts', import.meta.url).pathname, JSON.stringify(simulator)],
      { env: { ...process.env, ...env } },
    );
  const { stdout } = await run({ NODE_EXTRA_CA_CERTS: simulator.caFile });
  assert.equal((await cancel(ID, { token: stdout })).status, 200);
  await assert.rejects(run({ NODE_EXTRA_CA_CERTS: '' }), /endpoints_resolution_error/);
});

it('tells msal what is wrong in Entra’s words', async (t) => {
  const { simulator } = await startBench(t);
  const client = msalFor(simulator, { clientSecret: 'wrong' }, await agentFor(t, simulator));
  const correlationId = randomUUID();
  await assert.rejects(
    client.acquireTokenByClientCredential({ scopes: [simulator.scope], correlationId }),
    (error: unknown) => {
      assert.partialDeepStrictEqual(
        { ...(error as object) },
        { errorCode: 'invalid_client', errorNo: 7000215, correlationId },
      );
      return true;
    },
  );
  assert.equal(simulator.calls().at(-1)?.correlationId, correlationId);
});

it('refuses in Entra’s shape', async (t) => {
  const { simulator } = await startBench(t);
  const ask = (changes: Record<string, string | null>, tenantId?: string) =>
    askForToken(simulator, changes, tenantId);
  const assertion = { client_secret: null, client_assertion: 'a.b.c' };
  const rows: [reply: Reply, status: number, error: string, code: number][] = [
    [await ask({ client_secret: 'wrong' }), 401, 'invalid_client', 7000215],
    [await ask({ client_secret: null }), 401, 'invalid_client', 7000216],
    [await ask({ client_id: randomUUID() }), 400, 'unauthorized_client', 700016],
    [await ask({ client_id: null }), 400, 'invalid_request', 900144],
    [await ask({ scope: null }), 400, 'invalid_request', 900144],
    [
      await ask({ scope: 'https://api.securitycenter.microsoft.com/Machine.Scan' }),
      400,
      'invalid_scope',
      1002012,
    ],
    [await ask({ scope: 'https://other.example/.default' }), 400, 'invalid_resource', 500011],
    [await ask({ grant_type: 'password' }), 400, 'unsupported_grant_type', 70003],
    [await ask({ grant_type: null }), 400, 'invalid_request', 900144],
    [await ask({}, randomUUID()), 400, 'invalid_request', 90002],
    [await ask(assertion), 400, 'invalid_request', 900144],
    [await ask({ ...assertion, client_assertion_type: JWT_BEARER }), 401, 'invalid_client', 700027],
  ];
  for (const [reply, status, error, code] of rows) {
    const body = reply.json<EntraError>();
    assert.deepEqual([reply.status, body.error, body.error_codes], [status, error, [code]]);
    assert.ok(body.error_description.startsWith(`AADSTS${code}: `), body.error_description);
    assert.match(
      body.error_description,
      new RegExp(`Trace ID: ${body.trace_id} Correlation ID: ${body.correlation_id}`),
    );
    assert.match(body.timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/);
  }
  const calls = simulator.calls().slice(1);
  assert.deepEqual(
    new Set(calls.map((call) => `${call.operation} ${call.verdict}`)),
    new Set(['token unauthorized']),
  );
  assert.equal(calls.length, rows.length);
});

it('takes only assertions that are signed by the certificate, for it, by the client, and in time', async (t) => {
  const { cert, key, thumbprintSha256 } = await makeClientCertificate();
  const { simulator } = await startBench(t, { clientCertificate: cert });
  const endpoint = `${simulator.authorityUrl}/${simulator.tenantId}/oauth2/v2.0/token`;
  const now = Math.floor(Date.now() / 1_000);
  const good = { iss: simulator.clientId, sub: simulator.clientId, aud: endpoint, nbf: now, exp: now + 600 };
  const x5tS256 = Buffer.from(thumbprintSha256, 'hex').toString('base64url');
  const send = async (
    claims: object,
    header: { alg?: string; x5c?: string[]; 'x5t#S256'?: string | undefined } = {},
    pem = key,
  ) => {
    const alg = header.alg ?? 'RS256';
    const assertion = await new SignJWT({ ...good, ...claims })
      .setProtectedHeader({ 'x5t#S256': x5tS256, ...header, alg })
      .sign(await importPKCS8(pem, alg));
    const reply = await askForToken(simulator, {
      client_secret: null,
      client_assertion_type: JWT_BEARER,
      client_assertion: assertion,
    });
    return reply.status === 200 ? 'token' : (reply.json<EntraError>().error_codes[0] ?? 0);
  };
  const { cert: otherCert, key: otherKey } = await makeClientCertificate();
  const der = (pem: string) => new X509Certificate(pem).raw.toString('base64');
  assert.equal(await send({}), 'token');
  assert.equal(await send({}, { x5c: [der(cert)] }), 'token');
  assert.equal(await send({}, { x5c: [der(otherCert)] }), 700027, 'a chain of another certificate');
  assert.equal(await send({}, { x5c: ['no certificate'] }), 50027);
  assert.equal(await send({}, { 'x5t#S256': undefined }), 700027, 'no thumbprint');
  assert.equal(await send({}, { alg: 'PS256', 'x5t#S256': x5tS256 }), 'token');
  assert.equal(await send({ aud: `${simulator.authorityUrl}/${simulator.tenantId}/v2.0` }), 'token');
  assert.equal(
    await send({}, { 'x5t#S256': x5tS256.replace(/^./, x5tS256.startsWith('A') ? 'B' : 'A') }),
    700027,
  );
  assert.equal(await send({}, {}, otherKey), 700027);
  assert.equal(await send({ aud: 'https://other.example' }), 700023);
  assert.equal(await send({ iss: randomUUID() }), 700021);
  assert.equal(await send({ sub: randomUUID() }), 700021);
  assert.equal(await send({ exp: now - 360, nbf: now - 960 }), 700024);
  // A clock that is up to five minutes off is forgiven.
  assert.equal(await send({ nbf: now + 240, exp: now + 840 }), 'token');
  assert.equal(await send({ exp: now - 240, nbf: now - 840 }), 'token');
  assert.equal(await send({ nbf: now + 600, exp: now + 1_200 }), 700024);
});

it('takes the certificates that it is told of in mid-run, and no others', async (t) => {
  const [first, second] = [await makeClientCertificate(), await makeClientCertificate()];
  const { simulator } = await startBench(t, { clientCertificate: first.cert });
  const agent = await agentFor(t, simulator);
  const signIn = ({ cert, key, thumbprintSha256 }: typeof first) =>
    msalFor(
      simulator,
      { clientCertificate: { thumbprintSha256, privateKey: key, x5c: cert } },
      agent,
    ).acquireTokenByClientCredential({ scopes: [simulator.scope] });
  await signIn(first);
  await assert.rejects(signIn(second), /AADSTS700027/);
  simulator.setClientCertificates([first.cert, second.cert]);
  await signIn(first);
  await signIn(second);
  simulator.setClientCertificates([second.cert]);
  await assert.rejects(signIn(first), /AADSTS700027/);
  await signIn(second);
});

it('takes tokens of the issuer that the application trusts, with its subject, for the exchange, in time', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const [issuer, subject] = ['https://cluster.example', 'worker'];
  const federation = {
    issuer,
    subject,
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
  const { simulator } = await startBench(t, { federation });
  const dispatcher = await agentFor(t, simulator);
  const exp = Math.floor(Date.now() / 1_000) + 600;
  const signIn = async (claims: object, key = privateKey) => {
    const good = { iss: issuer, sub: subject, aud: 'api://AzureADTokenExchange', exp };
    const clientAssertion = await new SignJWT({ ...good, ...claims })
      .setProtectedHeader({ alg: 'RS256' })
      .sign(key);
    const client = msalFor(simulator, { clientAssertion }, dispatcher);
    return client.acquireTokenByClientCredential({ scopes: [simulator.scope] });
  };
  assert.ok((await signIn({}))?.accessToken);
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  await assert.rejects(signIn({}, stranger), /AADSTS700027/);
  await assert.rejects(signIn({ iss: 'https://other.example' }), /AADSTS700211/);
  await assert.rejects(signIn({ aud: 'somebody' }), /AADSTS700212/);
  await assert.rejects(signIn({ sub: 'somebody' }), /AADSTS700213/);
  await assert.rejects(signIn({ exp: exp - 1_000 }), /AADSTS700024/);
});

it('issues tokens that carry the documented claims and verify with the published keys', async (t) => {
  const { simulator } = await startBench(t, { tokenLifetimeMs: 1_200_000 });
  const dispatcher = await agentFor(t, simulator);
  const url = `${simulator.authorityUrl}/${simulator.tenantId}/v2.0/.well-known/openid-configuration`;
  const discovered = (await ask(url, { dispatcher, method: 'GET' })).json<Record<string, string>>();
  assert.equal(discovered.issuer, `${simulator.authorityUrl}/${simulator.tenantId}/v2.0`);
  const published = await ask(discovered.jwks_uri ?? '', { dispatcher, method: 'GET' });
  const keys = createLocalJWKSet(published.json<JSONWebKeySet>());
  const tokens = await Promise.all([askForToken(simulator), askForToken(simulator)]);
  const [first, second] = tokens.map((reply) => reply.json<{ access_token: string; expires_in: number }>());
  assert.ok(first && second);
  const { payload, protectedHeader } = await jwtVerify(first.access_token, keys);
  assert.equal(protectedHeader.alg, 'RS256');
  assert.partialDeepStrictEqual(payload, {
    aud: 'https://api.securitycenter.microsoft.com',
    tid: simulator.tenantId,
    appid: simulator.clientId,
    roles: [...ALL_ROLES],
  });
  assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 1_200);
  assert.equal(first.expires_in, 1_200);
  assert.notEqual(payload.jti, decodeJwt(second.access_token).jti);
});

it('does not know other tenants, and does not answer for the API', async (t) => {
  const { simulator } = await startBench(t);
  const dispatcher = await agentFor(t, simulator);
  const url = `${simulator.authorityUrl}/${randomUUID()}/v2.0/.well-known/openid-configuration`;
  const reply = await ask(url, { dispatcher, method: 'GET' });
  assert.deepEqual([reply.status, reply.json<EntraError>().error_codes], [400, [90002]]);
  const path = `/api/machineactions/${ID}/cancel`;
  const wrong = await ask(`${simulator.authorityUrl}${path}`, { dispatcher, method: 'POST', body: COMMENT });
  assert.equal(wrong.status, 404);
  assert.equal(simulator.calls().at(-1)?.verdict, 'unknown-path');
});
