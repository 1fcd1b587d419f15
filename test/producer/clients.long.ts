import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext, test } from 'node:test';
import { Queue } from 'bullmq';
import type { CancelResult } from '../../src/base/outcome.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { LANES } from '../../src/store/keys.ts';
import { atEnd } from '../store/redis/support/machine.ts';
import { recount } from '../support/ledger.ts';
import { ROOT, startProgram } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack, type StackOptions } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { packageFolder, run } from './support/package.ts';

/** The oldest and the newest that services may have, the workers' own, and Nest's module. */
const CLIENTS = {
  'BullMQ 5.0': { bullmq: 'bullmq-5.0' },
  'BullMQ 5, newest': { bullmq: 'bullmq-5' },
  'BullMQ 6': { bullmq: 'bullmq' },
  '@nestjs/bullmq': { bullmq: 'bullmq', nest: true },
};

const PACKAGES = {
  'bullmq-5.0': 'npm:bullmq@5.0.0',
  'bullmq-5': 'npm:bullmq@^5.81.5',
  bullmq: '^6.7.0',
  '@nestjs/bullmq': '^12.0.0',
  '@nestjs/common': '^12.0.0',
  '@nestjs/core': '^12.0.0',
  'reflect-metadata': '^0.2.2',
  rxjs: '^7.8.2',
};

async function open(
  t: TestContext,
  options: StackOptions = {},
): Promise<{ server: TestRedis; stack: Stack }> {
  const server = await openTestRedis();
  atEnd(t, () => server.close());
  const stack = await openStack(server, options);
  atEnd(t, () => stack.close());
  await stack.startWorker();
  return { server, stack };
}

test('services with other versions of BullMQ', async (t) => {
  const folder = await packageFolder(t);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: PACKAGES }));
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], folder);
  for (const [name, client] of Object.entries(CLIENTS)) {
    await t.test(`${name}: every way to add a job has its outcome, and one call`, async (st) => {
      const { server, stack } = await open(st);
      const ids = stack.addActions(20);
      const place = { path: server.url.replace('unix://', ''), prefix: stack.tenant.keys.prefix };
      const program = join(ROOT, 'test/producer/support/client.mjs');
      const args = [program, JSON.stringify({ ...place, ids, ...client })];
      const child = startProgram(process.execPath, args, { cwd: folder });
      assert.equal(await child.exited, 0, child.stderr);
      const { used, values, results } = JSON.parse(child.stdout) as {
        used: number;
        values: CancelResult[];
        results: Record<string, CancelResult>;
      };
      for (const [way, result] of Object.entries(results)) assert.equal(result?.outcome, 'cancelled', way);
      assert.ok(Object.keys(results).length >= 15);
      assert.equal(values[0]?.outcome, 'cancelled', 'the parent of a flow reads it');
      const calls = stack.simulator.calls().filter(({ operation }) => operation === 'cancel');
      assert.equal(calls.length, used, 'one call for each id');
      assert.equal(new Set(calls.map(({ id }) => id)).size, used);
    });
  }
});

/** What people do to queues with bull-board and the like, by BullMQ's own functions. */
describe('hands on the queues while a campaign and services wait', () => {
  const HANDS: Record<string, (queue: Queue) => Promise<unknown>> = {
    'pause and resume': async (queue) => {
      await queue.pause();
      await queue.resume();
    },
    drain: (queue) => queue.drain(true),
    'clean what waits and is delayed': async (queue) => {
      await queue.clean(0, 1_000, 'wait');
      await queue.clean(0, 1_000, 'delayed');
    },
    'clean what is completed': (queue) => queue.clean(0, 1_000, 'completed'),
    'clean what is active': (queue) => queue.clean(0, 1_000, 'active'),
    'remove jobs': async (queue) => {
      for (const job of await queue.getJobs(['wait', 'delayed'])) await job.remove().catch(() => undefined);
    },
    'retry completed jobs': (queue) => queue.retryJobs({ state: 'completed' }),
    'promote delayed jobs': (queue) => queue.promoteJobs(),
    obliterate: (queue) => queue.obliterate({ force: true }),
  };

  for (const [name, hand] of Object.entries(HANDS)) {
    it(`${name}: no id is called twice, the counters are right and the campaign goes on to its end`, async (t) => {
      // Some wait in each queue, some are being called, and some have ended.
      const { server, stack } = await open(t, {
        limits: '15/1s',
        simulator: { latencyMs: { min: 20, max: 200 } },
      });
      const [urgent, singles, own] = [stack.addActions(5), stack.addActions(5), stack.addActions(45)];
      await stack.submit(own);
      const data = (machineActionId: string) => ({ machineActionId, comment: 'from a service' });
      for (const id of singles) await stack.enqueue(data(id));
      for (const id of urgent) await stack.enqueue(data(id), 'cancel-urgent');
      await eventually(() => assert.ok(stack.simulator.calls().length > 5));
      for (const lane of LANES) {
        const queue = new Queue(lane, {
          connection: await server.connect('worker'),
          prefix: stack.tenant.keys.prefix,
        });
        await hand(queue);
        await queue.close();
      }
      const { outcomes } = await stack.untilDone();
      assert.deepEqual(outcomes, { cancelled: own.length });
      // Services ask again for what they do not find any more.
      for (const id of [...singles, ...urgent]) {
        const { outcome } = await stack.result(await stack.enqueue(data(id)));
        assert.equal(outcome, 'cancelled');
      }
      const called = stack.simulator.calls().filter(({ operation }) => operation === 'cancel');
      const ids = called.map(({ id }) => id);
      assert.deepEqual(ids.toSorted(), [...own, ...singles, ...urgent].toSorted(), 'each once');
      const { redis, tenant } = stack;
      const { campaign = '' } = await stack.result(await stack.enqueue(data(singles[0] ?? '')));
      for (const known of [campaign, 'campaign']) {
        await recount(tenant, (await findCampaign(redis, tenant.keys, known)).number);
      }
    });
  }
});
