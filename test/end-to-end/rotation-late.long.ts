import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/wait.ts';
import { makeCredential, makeIssuer } from './rotation-credential.ts';
import {
  assertUnharmed,
  openPlace,
  openSigned,
  openWithFile,
  type Place,
  signInHold,
  untilDecided,
  untilSaid,
} from './rotation-support.ts';

describe('a worker runs, and its certificate or federated token is replaced', { concurrency: true }, () => {
  let place: Place;

  before(async () => {
    place = await openPlace();
  });
  after(() => place.close());

  it('the certificate, after the old one was revoked, by way of files that are none: it is held, says why, and goes on', async (t) => {
    const [first, second, third] = await Promise.all([makeCredential(), makeCredential(), makeCredential()]);
    const field = await openSigned(place, first);
    try {
      const worker = field.startWorkerHere();
      await untilDecided(field, 10);
      await field.simulator.setClientCertificates([second.certificate]);
      const says = (what: RegExp) => untilSaid(field, what);
      await says(/AADSTS700027/);
      for (const [text, what] of [
        ['', /contains no certificate/],
        [second.pem.slice(0, second.pem.length / 3), /contains no certificate|contains no private key/],
        ['\0\u0001 not a PEM file at all', /contains no certificate/],
        [`${second.key}\n${third.certificate}`, /does not match its certificate/],
        [second.pem.replaceAll(/[A-Z]{4}\n/g, '====\n'), /cannot use the certificate file/],
      ] as const) {
        await writeFile(field.path, text);
        await says(what);
      }
      await rm(field.path);
      await says(/cannot read the certificate file/);
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
    const field = await openWithFile(place, await token(600), { federation }, 'AZURE_FEDERATED_TOKEN_FILE');
    try {
      const worker = field.startWorkerHere();
      await untilDecided(field, 8);
      // Entra forgives five minutes: this one is taken a few seconds longer.
      await writeFile(field.path, await token(-295));
      const seen = (await field.simulator.calls()).length;
      await untilSaid(field, /AADSTS700024.*the clock of this machine agrees with the sign-in service's/);
      const tokens = (await field.simulator.calls())
        .slice(seen)
        .filter(({ operation }) => operation === 'token');
      assert.equal(tokens[0]?.verdict, 'served', 'the new one was in use before it ended');
      await writeFile(field.path, '');
      await untilSaid(field, /it contains no token/);
      await writeFile(field.path, (await token(600)).slice(0, 200));
      await untilSaid(field, /it contains no token/);
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
