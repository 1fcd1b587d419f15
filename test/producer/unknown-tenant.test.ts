import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openProducer, type ProducerOptions } from '../../src/producer/producer.ts';
import { keysFor } from '../../src/store/keys.ts';
import { startProgram } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

const REQUEST = { machineActionId: '4f9cbe8e-0000-4000-8000-000000000001', comment: 'x' };

describe('a producer of a tenant for which no worker was ever seen', () => {
  let server: TestRedis;

  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  const open = (more: Partial<ProducerOptions>) =>
    openProducer({ redis: server.url, tenant: newLabel(), ...more });

  it('is told so once, and puts in what it wants to', async () => {
    const told: string[] = [];
    await using producer = await open({ onWarning: (words) => void told.push(words) });
    await producer.cancel(REQUEST);
    await producer.cancel(REQUEST);
    await eventually(() => assert.equal(told.length, 1));
    assert.match(told[0] ?? '', /^no worker has ever run for tenant "t\w+"; check that this is its label/);
  });

  it('is refused where it asked for that, and nothing is put in', async () => {
    const tenant = newLabel();
    await using warned = await open({ tenant, onWarning: () => undefined });
    await warned.cancel(REQUEST);
    await using producer = await open({ tenant, unknownTenant: 'refuse' });
    await assert.rejects(producer.cancel(REQUEST), { code: 'TENANT_UNKNOWN' });
    await assert.rejects(producer.submit([REQUEST.machineActionId], { campaign: 'c', comment: 'x' }), {
      code: 'TENANT_UNKNOWN',
    });
    const redis = await server.connect();
    assert.equal(await redis.llen(keysFor(tenant).lane('cancel', 'wait')), 1, 'only that of who was warned');
    assert.equal(await redis.exists(keysFor(tenant).campaigns), 0);
  });

  it('is refused each time, however many ask at once, and a source has no id taken in vain', async () => {
    const tenant = newLabel();
    await using producer = await open({ tenant, unknownTenant: 'refuse' });
    const asked = await Promise.allSettled([1, 2, 3].map(() => producer.cancel(REQUEST)));
    assert.deepEqual(
      asked.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected'],
    );
    const redis = await server.connect();
    assert.equal(await redis.llen(keysFor(tenant).lane('cancel', 'wait')), 0);
  });

  it('has its source asked for the first id at once, as its documents say', async () => {
    await using producer = await open({ unknownTenant: 'refuse' });
    let isAsked = false;
    const ids = (function* () {
      isAsked = true;
      yield REQUEST.machineActionId;
    })();
    const submitted = producer.submit(ids, { campaign: 'c', comment: 'x' });
    assert.equal(isAsked, true);
    await assert.rejects(submitted, { code: 'TENANT_UNKNOWN' });
  });

  it('may not care', async () => {
    const told: string[] = [];
    await using producer = await open({
      unknownTenant: 'ignore',
      onWarning: (words) => void told.push(words),
    });
    await producer.cancel(REQUEST);
    assert.deepEqual(told, []);
    await assert.rejects(open({ unknownTenant: 'sometimes' as 'warn' }), { code: 'USAGE' });
  });

  it('is any that is known as soon as a worker was there', async () => {
    const stack = await openStack(server);
    const worker = await stack.startWorker();
    await worker.stop();
    await using producer = await open({ tenant: stack.tenant.label, unknownTenant: 'refuse' });
    await producer.cancel(REQUEST);
    await stack.close();
  });
});

it('an older Node is told which one it takes, when the library is imported', async () => {
  const fake = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.0' } })`;
  const child = startProgram(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(fake)}`, 'src/index.ts'],
    {},
  );
  assert.notEqual(await child.exited, 0);
  assert.match(child.stderr, /Error: standdown needs Node\.js 22\.19 or later; this is v20\.19\.0/);
  assert.doesNotMatch(child.stderr, /TypeError/);
});
