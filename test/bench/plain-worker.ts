import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { Agent, request } from 'undici';

/*
 * What a user would write with BullMQ alone: a worker with the limiter of BullMQ, which calls the API and returns the
 * answer. `node plain-worker.ts '<options as JSON>'`; prints a line when it runs, stops on SIGTERM.
 */
interface Options {
  socket: string;
  queue: string;
  apiUrl: string;
  token: string;
  concurrency: number;
  limiter: { max: number; duration: number };
}

const options = JSON.parse(process.argv[2] ?? '') as Options;
const connection = new Redis({ path: options.socket, maxRetriesPerRequest: null });
const agent = new Agent({ connections: options.concurrency });
const worker = new Worker<{ id: string; comment: string }>(
  options.queue,
  async ({ data }) => {
    const response = await request(`${options.apiUrl}/api/machineactions/${data.id}/cancel`, {
      dispatcher: agent,
      method: 'POST',
      headers: { authorization: `Bearer ${options.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ Comment: data.comment }),
    });
    const body = (await response.body.json()) as { status?: string };
    return { status: response.statusCode, action: body.status };
  },
  {
    connection,
    concurrency: options.concurrency,
    limiter: options.limiter,
    removeOnComplete: { count: 1_000 },
  },
);
await worker.waitUntilReady();
process.stdout.write('ready\n');
process.once('SIGTERM', async () => {
  await worker.close();
  connection.disconnect();
  await agent.close();
});
