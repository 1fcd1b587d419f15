import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { assertOwn } from '../../base/own-folder.ts';
import { isAtLeast, OLDEST_REDIS } from './version.ts';

const run = promisify(execFile);

const NAMES = ['redis-server', 'valkey-server'];

/** A Redis server that runs on this machine. */
export interface RedisServer {
  /** Absolute path of `redis-server` or `valkey-server`. */
  command: string;
  /** Its environment: PATH, and LD_LIBRARY_PATH where the system's libraries do not do. */
  env: Record<string, string>;
  version: string;
}

export interface FindParams {
  /** Folders to search, as in the environment's PATH. */
  path: string;
  /** The folder that `installServer` installs into. */
  dataDir: string;
}

/**
 * The first `redis-server` or `valkey-server` on `path`, else the one that `installServer` put under `dataDir`, that
 * runs and is new enough (6.2); `undefined` when there is none.
 */
export async function findServer({ path, dataDir }: FindParams): Promise<RedisServer | undefined> {
  for (const name of NAMES) {
    const command = await onPath(name, path);
    const server = command === undefined ? undefined : await tryServer(command, { PATH: path });
    if (server !== undefined) return server;
  }
  return serverIn({ root: installRoot(dataDir), path });
}

/** Where `installServer` puts the tree of a Redis. */
export function installRoot(dataDir: string): string {
  return join(resolve(dataDir), 'redis-root');
}

/**
 * The server in an unpacked tree, if it runs.
 *
 * @throws StanddownError CONFIG_INVALID when others could have put it there: then it is not run.
 */
export async function serverIn({
  root,
  path,
}: {
  root: string;
  path: string;
}): Promise<RedisServer | undefined> {
  await assertOwn(dirname(root));
  await assertOwn(root, { deep: true });
  const env = { PATH: path, LD_LIBRARY_PATH: (await librariesIn(root)).join(delimiter) };
  for (const name of NAMES) {
    const server = await tryServer(join(root, 'usr/bin', name), env);
    if (server !== undefined) return server;
  }
  return undefined;
}

/** The library folders of an unpacked tree; the one that is named after the processor is found by looking. */
export async function librariesIn(root: string): Promise<string[]> {
  const bases = [join(root, 'usr/lib'), join(root, 'lib')];
  const found = await Promise.all(
    bases.map(async (base) => {
      const entries = await readdir(base, { withFileTypes: true }).catch(() => []);
      const triplets = entries.filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'));
      return entries.length === 0 ? [] : [base, ...triplets.map((entry) => join(base, entry.name))];
    }),
  );
  return found.flat();
}

/** The absolute path of a program, as a shell would find it. */
export async function onPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter((part) => part !== '')) {
    const file = resolve(folder, name);
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function tryServer(command: string, env: Record<string, string>): Promise<RedisServer | undefined> {
  const { stdout } = await run(command, ['--version'], { env, timeout: 10_000 }).catch(() => ({
    stdout: '',
  }));
  const version = /server v=([\d.]+)/.exec(stdout)?.[1];
  return version !== undefined && isAtLeast(version, OLDEST_REDIS) ? { command, env, version } : undefined;
}
