import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../support/wait.ts';
import { makeCredential } from './rotation-credential.ts';
import { assertUnharmed, openPlace, openSigned, type Place, untilDecided } from './rotation-support.ts';

describe('a worker runs, and its certificate or federated token is replaced', () => {
  let place: Place;

  before(async () => {
    place = await openPlace();
  });
  after(() => place.close());

  it('the certificate, before the old one is revoked: nothing is held', async (t) => {
    const [first, second] = await Promise.all([makeCredential(), makeCredential()]);
    const field = await openSigned(place, first);
    try {
      const worker = field.startWorkerHere();
      await untilDecided(field, 10);
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
});
