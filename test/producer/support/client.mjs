/*
 * A service of somebody else's, run in a folder that has one version of BullMQ: `node client.mjs '<JSON>'`, with the Redis socket,
 * the prefix and ids. Adds cancels in every way that BullMQ has, and prints what became of each, by its way, as JSON.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { path, prefix, ids, bullmq, nest } = JSON.parse(process.argv[2] ?? '');
const require = createRequire(join(process.cwd(), 'package.json'));
const { FlowProducer, Job, Queue, QueueEvents, Worker } = require(bullmq);
const at = { connection: { path }, prefix };

/** The version without schedulers has repeatable jobs. */
async function schedule(queue, data) {
  if (queue.upsertJobScheduler) {
    await queue.upsertJobScheduler('standing', { every: 3_600_000 }, { name: 'cancel', data });
  } else await queue.add('cancel', data, { repeat: { every: 3_600_000, limit: 1, immediately: true } });
}

async function openNest() {
  require('reflect-metadata');
  const { NestFactory } = require('@nestjs/core');
  const { BullModule, getQueueToken } = require('@nestjs/bullmq');
  class Service {}
  const module = {
    module: Service,
    imports: [BullModule.forRoot(at), BullModule.registerQueue({ name: 'cancel' })],
  };
  const app = await NestFactory.createApplicationContext(module, { logger: false });
  return { queue: app.get(getQueueToken('cancel')), close: () => app.close() };
}

const opened = nest ? await openNest() : null;
const queue = opened?.queue ?? new Queue('cancel', at);
const urgent = new Queue('cancel-urgent', at);
const events = new QueueEvents('cancel', at);
const urgentEvents = new QueueEvents('cancel-urgent', at);
await Promise.all([events.waitUntilReady(), urgentEvents.waitUntilReady()]);
const flows = new FlowProducer(at);
const seen = [];
const own = new Worker('service', async (job) => seen.push(Object.values(await job.getChildrenValues())), at);

let used = 0;
const data = () => ({ v: 1, machineActionId: ids[used++], comment: 'from a service' });
const jobs = {
  add: await queue.add('cancel', data()),
  urgent: await urgent.add('cancel', data()),
  delay: await queue.add('cancel', data(), { delay: 200 }),
  attempts: await queue.add('cancel', data(), { attempts: 3, backoff: { type: 'exponential', delay: 100 } }),
  priority: await queue.add('cancel', data(), { priority: 7 }),
  jobId: await queue.add('cancel', data(), { jobId: 'mine' }),
  lifo: await queue.add('cancel', data(), { lifo: true }),
};
const same = data();
jobs.sameJobId = await queue.add('cancel', same, { jobId: 'same' });
jobs.again = await queue.add('cancel', same, { jobId: 'same' });
const deduplication = { id: 'one', ttl: 60_000 };
const one = data();
jobs.deduplicated = await queue.add('cancel', one, { deduplication });
await queue.add('cancel', one, { deduplication });
for (const [place, job] of (
  await queue.addBulk([1, 2, 3].map(() => ({ name: 'cancel', data: data() })))
).entries())
  jobs[`bulk ${place}`] = job;

// A cancel as a child of the service's own job, and as the parent of one.
const child = await flows.add({
  name: 'after',
  queueName: 'service',
  data: {},
  children: [{ name: 'cancel', queueName: 'cancel', data: data() }],
});
jobs['child of a flow'] = child.children[0].job;
const parent = await flows.add({
  name: 'cancel',
  queueName: 'cancel',
  data: data(),
  children: [{ name: 'before', queueName: 'service', data: {} }],
});
jobs['parent in a flow'] = parent.job;

const results = {};
for (const [way, job] of Object.entries(jobs)) {
  const from = job.queueName === 'cancel-urgent' ? urgentEvents : events;
  results[way] = await job.waitUntilFinished(from, 60_000);
}
const standing = data();
await schedule(queue, standing);
while (results.schedule === undefined) {
  const found = (await queue.getJobs(['completed'])).find(
    (job) => job.data.machineActionId === standing.machineActionId,
  );
  results.schedule = found?.returnvalue;
}
while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
results.read = (await Job.fromId(queue, 'mine')).returnvalue;
process.stdout.write(`${JSON.stringify({ used, values: seen.flat(), results })}\n`);
await Promise.all([own.close(), flows.close(), events.close(), urgentEvents.close(), urgent.close()]);
await (opened?.close() ?? queue.close());
