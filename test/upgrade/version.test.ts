import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { Queue } from 'bullmq';
import { JOB_NAME } from '../../src/store/keys.ts';
import { checkVersion, noteVersion } from '../../src/store/ledger/version.ts';
import { type Field, openField } from '../end-to-end/support.ts';
import { runCommand } from '../support/command.ts';
import { type Process, startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { newTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

const NEWER =
  /^standdown: a newer version of Standdown writes this tenant's data \(data version 3; this version understands up to 2\); use the newer version\n$/;

let server: TestRedis;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('is noted by whoever writes, never lowered, and not by whoever only looks', async () => {
  const { redis, keys } = await newTenant(await server.connect());
  const noted = () => redis.hget(keys.state, 'version');
  await checkVersion(redis, keys);
  assert.equal(await noted(), null);
  await noteVersion(redis, keys);
  assert.equal(await noted(), '1');
  await redis.hset(keys.state, 'version', 2);
  await noteVersion(redis, keys);
  await checkVersion(redis, keys);
  assert.equal(await noted(), '2', 'the next version is understood, and stays noted');
  await redis.hset(keys.state, 'version', 3);
  for (const look of [noteVersion, checkVersion]) {
    await assert.rejects(look(redis, keys), { code: 'DATA_NEWER', context: { noted: 3, understood: 2 } });
  }
  assert.equal(await noted(), '3');
});

it('stops workers and commands that do not understand the data; a newer one goes on with all of it', async () => {
  const field = await openField(server, { limits: '5/1s,1000/1h', ids: 30, apart: false });
  const { redis, tenant, simulator } = field;
  const note = (version: number) => redis.hset(tenant.keys.state, 'version', version);
  const env = { ...simulator.settings, REDIS_URL: server.url, STANDDOWN_TENANT: tenant.label };
  const endsRefused = async (process: Process) => {
    assert.equal(await process.exited, 1);
    assert.match(process.stderr.replace(/^\{.*\n/gm, ''), NEWER);
  };
  try {
    assert.equal(await redis.hget(tenant.keys.state, 'version'), '1', 'submit has noted it');
    const worker = field.startWorker();
    await eventually(async () => assert.ok((await calls(field)) >= 5, worker.stderr));
    await note(3);
    await endsRefused(worker);
    const made = await calls(field);
    assert.ok(made < 30, 'it stopped before the end');
    const { open } = await field.campaign();
    assert.equal(open, 30 - made, 'what it had called it recorded');

    await endsRefused(startCli(['worker'], { env }));
    for (const args of [['status'], ['report', 'field'], ['abort', 'field']]) {
      const { code, stdout, stderr } = await runCommand(args, { env });
      assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
      assert.match(stderr, NEWER);
    }
    assert.equal((await field.campaign()).state, 'running');
    assert.equal(await calls(field), made);

    await note(2);
    field.startWorker();
    await field.untilDone();
    await field.assertComplete();
    assert.equal(await calls(field), 30, 'each was called once');
  } finally {
    await field.close();
  }
});

it('drops a job of a later version that a feeder put into its lane: its id is fed again', async () => {
  const field = await openField(server, { limits: '1000/1s,100000/1h', ids: 3, apart: false });
  const { tenant, redis } = field;
  const { prefix } = tenant.keys;
  const fed = new Queue('cancel-campaign', { connection: redis, prefix });
  const singles = new Queue('cancel', { connection: redis, prefix });
  try {
    const { number } = await field.campaign();
    const later = { v: 2, id: field.ids[0], comment: 'later', campaign: number };
    const dropped = await fed.add(JOB_NAME, later, { jobId: `${number}-later-0` });
    const single = await singles.add(JOB_NAME, { v: 2, machineActionId: field.ids[1], comment: 'later' });
    const worker = field.startWorker();
    await field.untilDone();
    await field.assertComplete();
    assert.equal(await calls(field), 3);
    assert.equal(worker.stderr, '');
    await eventually(async () => {
      assert.equal(await fed.getJob(dropped.id ?? ''), undefined);
      const { outcome, errorMessage } = (await singles.getJob(single.id ?? ''))?.returnvalue ?? {};
      assert.equal(outcome, 'invalid');
      assert.match(errorMessage, /^v: /);
    });
  } finally {
    await Promise.all([fed.close(), singles.close()]);
    await field.close();
  }
});

async function calls({ simulator }: Field): Promise<number> {
  return (await simulator.calls()).filter(({ operation }) => operation === 'cancel').length;
}
