import { type Job, RateLimitError, Worker } from 'bullmq';
import { createCaller, openRedis, readOptions } from './program.ts';

/*
 * BullMQ: its limiter for the shorter window. For the longer one a counter in Redis that expires with it (the pattern of
 * Redis' INCR documentation), and `rateLimit` + `RateLimitError` when it is full or the API answers 429 (BullMQ's "Manual rate
 * limit"). Works until SIGTERM.
 */
const options = readOptions();
const [short, long] = options.quotas;
const connection = openRedis(options);
const { cancel, close } = createCaller(options);
const counter = `${options.label}:counter`;

const worker = new Worker(
  options.label,
  async ({ data }: Job<{ id: string }>) => {
    const used = await connection.incr(counter);
    if (used === 1) await connection.pexpire(counter, long.windowMs);
    if (used > long.max) return holdFor(await connection.pttl(counter));
    const answer = await cancel(data.id);
    if (answer.refused) return holdFor(answer.retryAfterMs);
  },
  {
    connection,
    concurrency: options.concurrency,
    limiter: { max: short.max, duration: short.windowMs },
    removeOnComplete: { count: 1_000 },
  },
);

async function holdFor(ms: number): Promise<never> {
  await worker.rateLimit(Math.max(1, ms));
  throw new RateLimitError();
}

worker.on('error', (error) => void process.stderr.write(`${error.message}\n`));
await worker.waitUntilReady();
process.stdout.write('ready\n');
process.once('SIGTERM', async () => {
  await worker.close();
  connection.disconnect();
  await close();
});
