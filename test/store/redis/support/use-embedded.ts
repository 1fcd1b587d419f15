// A client of the embedded Redis: says which server it has, then does what each line of its input asks for.
import { createInterface } from 'node:readline';
import { silentLog } from '../../../../src/base/log.ts';
import { closeRedis, openRedis } from '../../../../src/store/redis/connect.ts';
import { startEmbedded } from '../../../../src/store/redis/embedded.ts';

const [, , dataDir = '', installDir = '', graceMs = '3000'] = process.argv;
const log = silentLog;
const say = (facts: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(facts)}\n`);

const path = process.env['PATH'] ?? '';
const { target, ensure } = await startEmbedded({ dataDir, installDir, path, log, graceMs: Number(graceMs) });
const redis = await openRedis({ target, role: 'worker', connectionName: 'test', log, ensure });
const runId = /run_id:(\w+)/.exec(await redis.info('server'))?.[1];
say({ runId });

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'incr') say({ count: await redis.incr('count') });
  if (line === 'close') break;
}
await closeRedis(redis);
process.stdin.destroy();
