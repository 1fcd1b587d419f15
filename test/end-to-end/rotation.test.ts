import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { viewBudget } from '../../src/budget/view.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { type Credential, makeCredential, makeIssuer } from './rotation-credential.ts';
import { type Field, type FieldOptions, openField } from './support.ts';

/** They last 15 s: longer than a token that is nearly over, and the last one that it was good for. */
const IDS = 180;
/** Renewed every two seconds: the file is read as often. */
const TOKEN_LIFETIME_MS = 4_000;

describe('a worker runs, and its certificate or federated token is replaced', { concurrency: 2 }, () => {
  let server: TestRedis;
  const folder = join(TEST_DIR, 'rotation', newLabel());

  before(async () => {
    server = await openTestRedis();
    await mkdir(folder, { recursive: true });
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await server.close();
  });

  async function open(text: string, simulator: FieldOptions['simulator'], variable: string) {
    const path = join(folder, newLabel());
    await writeFile(path, text, { mode: 0o600 });
    const field = await openField(server, {
      limits: '12/1s,1000/1h',
      ids: IDS,
      simulator: { tokenLifetimeMs: TOKEN_LIFETIME_MS, ...simulator },
      env: { AZURE_CLIENT_SECRET: '', [variable]: path },
    });
    return { ...field, path };
  }

  function openSigned({ pem, certificate }: Credential) {
    return open(pem, { clientCertificate: certificate }, 'AZURE_CLIENT_CERTIFICATE_PATH');
  }

  async function untilDecided(field: Field, count: number): Promise<void> {
    await eventually(async () => {
      const { total, open } = await field.campaign();
      assert.ok(total - open >= count);
    });
  }

  async function signInHold({ redis, tenant }: Field) {
    const { holds } = await viewBudget(redis, tenant.keys, tenant.config.limits);
    return holds.find(({ reason }) => reason === 'sign-in');
  }

  async function untilSaid(field: Field, what: RegExp): Promise<void> {
    await eventually(async () => assert.match((await signInHold(field))?.detail ?? '', what));
  }

  async function assertUnharmed(t: TestContext, field: Field): Promise<void> {
    const lines = await field.assertComplete();
    for (const { outcome, attempts } of lines.values())
      assert.deepEqual([outcome, attempts], ['cancelled', 1]);
    const calls = await field.simulator.calls();
    assert.equal(
      calls.filter(({ operation, verdict }) => operation === 'cancel' && verdict === 'served').length,
      IDS,
    );
    assert.equal((await field.simulator.refusals()).length, 0);
    const tokens = calls.filter(({ operation }) => operation === 'token');
    t.diagnostic(
      `${tokens.length} sign-ins, ${tokens.filter(({ verdict }) => verdict !== 'served').length} of them refused`,
    );
  }

  it('the certificate, before the old one is revoked: nothing is held', async (t) => {
    const [first, second] = await Promise.all([makeCredential(), makeCredential()]);
    const field = await openSigned(first);
    try {
      const worker = field.startWorker();
      await untilDecided(field, 20);
      await field.simulator.setClientCertificates([first.certificate, second.certificate]);
      await writeFile(field.path, second.pem);
      // With the next renewal the new one is in use.
      const seen = (await field.simulator.calls()).length;
      await eventually(async () => {
        const calls = (await field.simulator.calls()).slice(seen);
        assert.ok(calls.filter(({ operation }) => operation === 'token').length > 1);
      });
      await field.simulator.setClientCertificates([second.certificate]);
      await field.untilDone();
      await assertUnharmed(t, field);
      assert.equal(worker.stderr, '', 'nothing to warn of');
    } finally {
      await field.close();
    }
  });

  it('the certificate, after the old one was revoked, by way of files that are none: it is held, says why, and goes on', async (t) => {
    const [first, second, third] = await Promise.all([makeCredential(), makeCredential(), makeCredential()]);
    const field = await openSigned(first);
    try {
      const worker = field.startWorker();
      await untilDecided(field, 20);
      await field.simulator.setClientCertificates([second.certificate]);
      const says = (what: RegExp) => untilSaid(field, what);
      await says(/AADSTS700027/);
      for (const [text, what] of [
        ['', /holds no certificate/],
        [second.pem.slice(0, second.pem.length / 3), /holds no certificate|holds no private key/],
        ['\0\u0001 not a PEM file at all', /holds no certificate/],
        [`${second.key}\n${third.certificate}`, /do not belong together/],
        [second.pem.replaceAll(/[A-Z]{4}\n/g, '====\n'), /cannot be used/],
      ] as const) {
        await writeFile(field.path, text);
        await says(what);
      }
      await rm(field.path);
      await says(/cannot be read/);
      const held = await field.campaign();
      await writeFile(field.path, second.pem);
      const replacedAt = Date.now();
      await eventually(async () => assert.ok((await field.campaign()).open < held.open), 62_000);
      t.diagnostic(`goes on ${Date.now() - replacedAt} ms after the right file was there`);
      await field.untilDone();
      await assertUnharmed(t, field);
      assert.equal(await signInHold(field), undefined);
      assert.doesNotMatch(worker.stderr, /BEGIN|a bug/);
    } finally {
      await field.close();
    }
  });

  it('the federated token, before and after it has ended, by way of files that are none', async (t) => {
    const { federation, token } = makeIssuer();
    const field = await open(await token(600), { federation }, 'AZURE_FEDERATED_TOKEN_FILE');
    try {
      const worker = field.startWorker();
      await untilDecided(field, 15);
      // Entra forgives five minutes: this one is taken a few seconds longer.
      await writeFile(field.path, await token(-295));
      const seen = (await field.simulator.calls()).length;
      await untilSaid(field, /AADSTS700024.*this machine's clock agrees with the sign-in service's/);
      const tokens = (await field.simulator.calls())
        .slice(seen)
        .filter(({ operation }) => operation === 'token');
      assert.equal(tokens[0]?.verdict, 'served', 'the new one was in use before it ended');
      await writeFile(field.path, '');
      await untilSaid(field, /it holds no token/);
      await writeFile(field.path, (await token(600)).slice(0, 200));
      await untilSaid(field, /it holds no token/);
      await writeFile(field.path, await token(600, 'somebody else'));
      await untilSaid(field, /AADSTS700213/);
      const held = await field.campaign();
      const next = await token(600);
      await writeFile(field.path, next);
      await eventually(async () => assert.ok((await field.campaign()).open < held.open), 62_000);
      await field.untilDone();
      await assertUnharmed(t, field);
      assert.ok(!worker.stderr.includes(next.slice(0, 40)), 'no token in the log');
    } finally {
      await field.close();
    }
  });
});
