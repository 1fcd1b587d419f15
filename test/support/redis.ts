import { join } from 'node:path';
import { after } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { closeRedis, type OpenParams, openRedis } from '../../src/store/redis/connect.ts';
import { startEmbedded } from '../../src/store/redis/embedded.ts';
import type { CommandLimits, RedisRole } from '../../src/store/redis/options.ts';
import { parseRedisUrl } from '../../src/store/redis/redis-url.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { INSTALL_DIR, TEST_DIR } from './folders.ts';
import { PATIENCE_MS } from './wait.ts';

export { INSTALL_DIR, TEST_DIR };

export interface TestRedis {
  url: string;
  connect(role?: RedisRole): Promise<RedisClient>;
  close(): Promise<void>;
}

/** Those of a command in production fail it on a machine that is busy with something else. */
const PATIENT: Partial<CommandLimits> = {
  openMs: PATIENCE_MS,
  connectMs: PATIENCE_MS,
  answerMs: PATIENCE_MS,
  outageMs: PATIENCE_MS,
};

/** A real Redis for tests, shared by all that name the same folder. It ends by itself. */
export async function openTestRedis(folder = 'shared'): Promise<TestRedis> {
  const { target, ensure } = await startEmbedded({
    dataDir: join(TEST_DIR, folder),
    installDir: INSTALL_DIR,
    path: process.env['PATH'] ?? '',
    log: silentLog,
    install: true,
  });
  return handle(`unix://${target.path}`, { target, ensure });
}

/** A Redis that runs already. */
export function plainServer({ url }: { url: string }): TestRedis {
  return handle(url, { target: parseRedisUrl(url) });
}

/** A connection that is left open would look for its server long after the file's tests are over. */
const handles: TestRedis[] = [];
if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  after(async () => {
    await Promise.all(handles.map((one) => one.close()));
  });
}

function handle(url: string, place: Pick<OpenParams, 'target' | 'ensure'>): TestRedis {
  const open: RedisClient[] = [];
  const made: TestRedis = {
    url,
    connect: async (role = 'command') => {
      const redis = await openRedis({
        ...place,
        role,
        connectionName: 'test',
        limits: PATIENT,
        log: silentLog,
      });
      open.push(redis);
      return redis;
    },
    close: async () => {
      await Promise.all(open.splice(0).map(closeRedis));
    },
  };
  handles.push(made);
  return made;
}
