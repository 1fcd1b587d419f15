import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guidsToBytes } from '../../../src/base/guid.ts';
import { campaignStatus } from '../../../src/store/campaign/status.ts';
import { retryCampaign, steer } from '../../../src/store/campaign/steer.ts';
import { submitCampaign } from '../../../src/store/campaign/submit.ts';
import { TESTER } from '../../support/actor.ts';
import { dumpRedis, findLeaks, needlesOf } from '../../support/leaks.ts';
import { eventually } from '../../support/wait.ts';
import { openEstate } from '../../tenants/support.ts';
import { startReceiver } from './receiver.ts';
import { LIMITS, noticeOf, openScene, SECRET } from './scene.ts';

test('two workers tell once that a campaign has ended, and again when it ends after a retry', async (t) => {
  const scene = await openScene(t, 40);
  const { field, receiver, submit } = scene;
  // It owns none of them: it ends when they have ended where they are.
  const parts = async function* () {
    yield guidsToBytes(field.ids);
  };
  await submitCampaign(field.tenant, { name: 'follower', comment: 'test', now: Date.now() }, parts());
  const workers = [field.startWorkerHere(), field.startWorkerHere()];
  const told = await noticeOf(scene, 'ended');
  assert.deepEqual(
    [told.state, told.total, told.open, told.outcomes, told.hold],
    ['done', 40, 0, { cancelled: 40 }, null],
  );
  assert.equal(
    told.text,
    `Campaign "field" in tenant ${field.tenant.label} finished: 40 of 40 actions cancelled.`,
  );
  const following = await noticeOf(scene, 'ended', 'follower');
  const { state, total, open, unknown, outcomes } = await campaignStatus(field.tenant, 'follower');
  assert.deepEqual(
    [following.state, following.total, following.open, following.unknown, following.outcomes],
    [state, total, open, unknown, outcomes],
  );
  assert.deepEqual([following.state, following.total], ['done', 40]);
  // By the time another one has been told, either worker has looked again.
  await submit('second', 5, 4_711);
  await noticeOf(scene, 'ended', 'second');
  await submit('third', 5, 4_712);
  await noticeOf(scene, 'ended', 'third');
  assert.equal(receiver.received.length, 4);

  await retryCampaign(field.tenant, 'second', ['cancelled'], TESTER);
  await eventually(() => {
    const again = receiver.received.filter(({ notice }) => notice.campaign === 'second');
    assert.equal(again.length, 2);
    assert.notEqual(again[0]?.notice.id, again[1]?.notice.id);
  });

  const text = receiver.received.map(({ body }) => body).join();
  for (const id of field.ids) assert.ok(!text.includes(id));
  for (const worker of workers) {
    worker.stop();
    assert.equal(await worker.exited, 0, worker.stderr);
    assert.ok(!worker.stderr.includes(SECRET));
  }
  const { keys } = field.tenant;
  assert.equal(await field.redis.exists(keys.noticesDue, keys.outbox), 0, 'nothing is left of what was sent');
});

test('what ended before anybody asked is not told', async (t) => {
  const scene = await openScene(t, 10);
  const { field, receiver, submit } = scene;
  const before = field.startWorkerHere({ NOTIFY_URL: '' });
  await field.untilDone();
  before.stop();
  await before.exited;
  field.startWorkerHere();
  // The first look says since when; only then something else ends.
  await eventually(async () => assert.equal(await field.redis.exists(field.tenant.keys.notices), 1));
  await submit('after', 5, 4_713);
  await noticeOf(scene, 'ended', 'after');
  assert.equal(receiver.received.length, 1);
});

test('a hold that lasts is told once, and the end', async (t) => {
  const scene = await openScene(t, 60, { env: { NOTIFY_HOLD: '1s' } });
  const { field, receiver } = scene;
  await field.simulator.setFaults([{ operation: 'cancel', fault: { kind: 'status', status: 503 } }]);
  field.startWorkerHere();
  field.startWorkerHere();
  const told = await noticeOf(scene, 'held');
  assert.deepEqual([told.state, told.hold?.reason], ['running', 'upstream']);
  assert.ok(told.open > 0);
  assert.match(told.text, /^Campaign "field" in tenant \w+ is blocked: Defender is unavailable \(503\)\./);
  await field.simulator.setFaults([]);
  await noticeOf(scene, 'ended', 'field', 60_000);
  assert.deepEqual(
    receiver.received.map(({ notice }) => notice.kind),
    ['held', 'ended'],
  );
});

test('a campaign that is refused is told once, and not that a person paused one', async (t) => {
  const scene = await openScene(t, 60);
  const { field, receiver, submit } = scene;
  await submit('by hand', 5, 4_715);
  await steer(field.tenant, 'by hand', 'pause', TESTER);
  await field.simulator.setFaults([{ operation: 'cancel', fault: { kind: 'status', status: 403 } }]);
  field.startWorkerHere();
  const told = await noticeOf(scene, 'refused');
  assert.equal(told.state, 'paused');
  assert.ok((told.outcomes.forbidden ?? 0) >= 20);
  assert.match(
    told.text,
    /was paused after refusals: Paused after 20 refusals in a row\. Run "standdown status field /,
  );
  await field.simulator.setFaults([]);
  await submit('later', 5, 4_716);
  await noticeOf(scene, 'ended', 'later');
  assert.equal(receiver.received.length, 2);
});

test('each tenant has a receiver and a secret of its own, and Redis holds neither', async (t) => {
  const estate = await openEstate(t, 3, LIMITS);
  const receivers = [await startReceiver(), await startReceiver()];
  t.after(() => Promise.all(receivers.map((receiver) => receiver.close())));
  const token = 'a-token-in-the-path-of-it';
  await estate.write([
    ...receivers.map(({ url }, index) => ({
      ...estate.entry(index),
      NOTIFY_URL: `${url}/${token}`,
      NOTIFY_SECRET: { env: `SECRET_${index}` },
    })),
    estate.entry(2),
  ]);
  for (const tenant of ['tenant-1', 'tenant-2', 'tenant-3']) {
    const { path } = await estate.idsFor(5);
    const args = ['submit', path, '--campaign', 'undo', '--comment', 'x', '--yes', '--tenant', tenant];
    assert.equal((await estate.cli(args)).code, 0);
  }
  const secrets = ['the-first-tenants-secret', 'the-second-tenants-secret'];
  const worker = estate.startWorker({
    SECRET_0: secrets[0] ?? '',
    SECRET_1: secrets[1] ?? '',
    NOTIFY_ALLOW_PRIVATE: 'true',
  });
  for (const [index, receiver] of receivers.entries()) {
    await eventually(() => {
      assert.deepEqual(
        receiver.received.map(({ notice }) => [notice.kind, notice.tenant]),
        [['ended', `tenant-${index + 1}`]],
        worker.stderr,
      );
    });
  }
  const needles = [...secrets, token].flatMap((secret) => needlesOf(secret, secret));
  const log = { where: 'the log', text: worker.stderr };
  assert.deepEqual(findLeaks([...(await dumpRedis(estate.redis.admin)), log], needles), []);
});
