import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, StanddownError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { ownFolder } from '../../base/own-folder.ts';
import { adviseRedis, PACKAGE_MANAGERS } from './advice.ts';
import { unpackDebianRedis } from './debian.ts';
import { withLock } from './lock.ts';
import { type FindParams, installRoot, onPath, type RedisServer, serverIn } from './server-binary.ts';
import { NO_SERVER, OLDEST_REDIS } from './version.ts';

/** Apt's lists over a slow line take a while. */
const LOCK = { waitMs: 5 * 60_000, what: 'installing Redis', code: 'REDIS_MISSING' } as const;

export interface InstallParams extends FindParams {
  log: Logger;
  /** Default: this machine's. */
  platform?: NodeJS.Platform;
}

/**
 * Puts a Redis server under `<dataDir>/redis-root`, from the packages of Debian or Ubuntu, without root and without
 * touching the system: about 7 MB and 2 s, some more where apt's own lists are of no use. One that is there already is
 * returned as it is; of several processes at once one installs and the others wait.
 *
 * @throws StanddownError `REDIS_MISSING` with how to get Redis here: no apt-get and dpkg on `path`, or they failed.
 */
export async function installServer(params: InstallParams): Promise<RedisServer> {
  const { dataDir, path, log, platform = process.platform } = params;
  const [aptGet, dpkg] = [await onPath('apt-get', path), await onPath('dpkg', path)];
  if (platform !== 'linux' || aptGet === undefined || dpkg === undefined) {
    throw await redisMissing({ path, platform, what: NO_SERVER });
  }
  const root = installRoot(dataDir);
  // The lock is in it, too.
  await ownFolder(dirname(root));
  const unpack = (work: string) => unpackDebianRedis({ aptGet, dpkg, path, work });
  return withLock({ ...LOCK, path: `${root}.lock` }, async () => {
    const present = await serverIn({ root, path });
    if (present !== undefined) return present;
    log.info({ folder: root }, 'no Redis server found; unpacking one from the system packages');
    try {
      return await installOnce({ root, path, unpack });
    } catch (cause) {
      const what = `Redis could not be unpacked from the system packages (${messageOf(cause)})`;
      throw await redisMissing({ path, platform, what, cause });
    }
  });
}

export interface MissingParams {
  path: string;
  platform: NodeJS.Platform;
  /** What is the matter, as the beginning of a sentence. */
  what: string;
  cause?: unknown;
}

/** The error that says in one line how to get Redis on this machine. */
export async function redisMissing({ path, platform, what, cause }: MissingParams): Promise<StanddownError> {
  const found = await Promise.all(PACKAGE_MANAGERS.map((name) => onPath(name, path)));
  const managers = PACKAGE_MANAGERS.filter((_, index) => found[index] !== undefined);
  return new StanddownError('REDIS_MISSING', `${what}; ${adviseRedis({ platform, managers })}`, { cause });
}

interface InstallOnceParams {
  root: string;
  path: string;
  /** Makes the tree of a Redis inside the folder it is given and returns the tree. */
  unpack(work: string): Promise<string>;
}

async function installOnce({ root, path, unpack }: InstallOnceParams): Promise<RedisServer> {
  await removeLeftovers(root);
  const work = await mkdtemp(`${root}.work-`);
  try {
    const tree = await unpack(work);
    if ((await serverIn({ root: tree, path })) === undefined) {
      throw new Error(`the unpacked server does not run, or is older than ${OLDEST_REDIS}`);
    }
    // What stands there does not run. The new tree appears under the name complete or not at all.
    await rm(root, { recursive: true, force: true });
    await rename(tree, root);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  const server = await serverIn({ root, path });
  if (server === undefined) throw new Error(`the unpacked server does not run in ${root}`);
  return server;
}

/** Whoever holds the lock is the only one at work: such folders are from set-ups that were killed. */
async function removeLeftovers(root: string): Promise<void> {
  const names = (await readdir(dirname(root))).filter((name) => name.startsWith(`${basename(root)}.work-`));
  for (const name of names) await rm(join(dirname(root), name), { recursive: true, force: true });
}
