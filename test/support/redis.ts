import { join } from 'node:path';
import { silentLog } from '../../src/log.ts';
import { closeRedis, openRedis } from '../../src/redis/connect.ts';
import { startEmbedded } from '../../src/redis/embedded.ts';
import type { RedisRole } from '../../src/redis/options.ts';
import type { RedisClient } from '../../src/script.ts';
import { ROOT } from './processes.ts';

/** Where a Redis server is installed when the machine has none: as the demo does it. */
export const INSTALL_DIR = join(ROOT, '.standdown');

/** Everything that tests write. */
export const TEST_DIR = join(INSTALL_DIR, 'test');

export interface TestRedis {
  url: string;
  connect(role?: RedisRole): Promise<RedisClient>;
  close(): Promise<void>;
}

/** A real Redis for tests, shared by all that name the same folder. It ends by itself. */
export async function openTestRedis(folder = 'shared'): Promise<TestRedis> {
  const { target, ensure } = await startEmbedded({
    dataDir: join(TEST_DIR, folder),
    installDir: INSTALL_DIR,
    path: process.env['PATH'] ?? '',
    log: silentLog,
    install: true,
  });
  const open: RedisClient[] = [];
  return {
    url: `unix://${target.path}`,
    connect: async (role = 'command') => {
      const redis = await openRedis({ target, ensure, role, connectionName: 'test', log: silentLog });
      open.push(redis);
      return redis;
    },
    close: async () => {
      await Promise.all(open.splice(0).map(closeRedis));
    },
  };
}
