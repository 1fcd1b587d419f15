import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, open } from 'node:fs/promises';
import { extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../base/clock.ts';
import { messageOf, StanddownError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { ownFolder } from '../../base/own-folder.ts';
import { KEEPER_LOG, type KeeperOrders, SOCKET_FILE, START_LOCK } from './embedded-files.ts';
import { lockHolder } from './lock.ts';
import { probe, type ServerState } from './probe.ts';
import { findServer, type RedisServer } from './server-binary.ts';
import { installServer, redisMissing } from './server-install.ts';
import { lastLineOf } from './server-process.ts';
import type { UnixTarget } from './target.ts';
import { NO_SERVER } from './version.ts';

const DEFAULT_GRACE_MS = 3000;
const START_LIMIT_MS = 15_000;
const FAILURE_MS = 2000;
const LOOK_MS = 10;
/** The shortest limit of all systems (macOS: 104 with the closing zero). */
const SOCKET_PATH_BYTES = 103;

export interface EmbeddedParams {
  /** The data folder; the server's files are in its folder `redis`. */
  dataDir: string;
  /** Folders to search for a server, as in the environment's PATH. */
  path: string;
  log: Logger;
  /** The folder that `installServer` installs into. Default: `dataDir`. */
  installDir?: string;
  /** Whether a server that is not found may be installed there. Default: false. */
  install?: boolean;
  /** How long the server stays when its last client has gone, in ms. Default: 3,000. */
  graceMs?: number;
  /** Default: this machine's. */
  platform?: NodeJS.Platform;
}

/** A Redis server in the data folder, shared by all processes that use the same folder. */
export interface EmbeddedRedis {
  socketPath: string;
  /** For `openRedis`, which wants `ensure` too. */
  target: UnixTarget;
  /**
   * Starts the server again if it is gone; returns when it answers. Of calls at once, in this process and others, one
   * starts it. Throws as `startEmbedded` does.
   */
  ensure(): Promise<void>;
}

/**
 * Makes sure that the embedded Redis of this data folder runs: found if one does, started if not. Nothing has to be
 * stopped: it ends by itself a little after its last client has gone, also when that was killed.
 *
 * @throws StanddownError `REDIS_MISSING` when there is no server to start, or the folder cannot be used;
 *   `REDIS_UNREACHABLE` when it does not start or does not answer within 15 s (loading its data does not count).
 */
export async function startEmbedded(params: EmbeddedParams): Promise<EmbeddedRedis> {
  const { path, platform = process.platform } = params;
  if (platform === 'win32') {
    throw await redisMissing({ path, platform, what: 'the embedded Redis does not run on Windows' });
  }
  const folder = join(resolve(params.dataDir), 'redis');
  const socketPath = reachable(join(folder, SOCKET_FILE));
  await makeFolders(params.dataDir, folder);
  let running: Promise<void> | undefined;
  const forget = () => {
    running = undefined;
  };
  const ensure = () => {
    if (running !== undefined) return running;
    running = bringUp({ params, folder, socketPath });
    // A failure stands for a while: connections ask several times a second, and each try starts two processes.
    running.then(forget, () => setTimeout(forget, FAILURE_MS).unref());
    return running;
  };
  await ensure();
  return { socketPath, target: { kind: 'unix', path: socketPath, db: 0 }, ensure };
}

interface Place {
  params: EmbeddedParams;
  folder: string;
  socketPath: string;
}

async function bringUp(place: Place): Promise<void> {
  const { folder, socketPath } = place;
  let deadline = systemClock.monotonic() + START_LIMIT_MS;
  let keeper: ChildProcess | undefined;
  for (;;) {
    const state = await probe(socketPath);
    if (state === 'up') return;
    const now = systemClock.monotonic();
    if (state === 'loading') deadline = now + START_LIMIT_MS;
    if (now > deadline) throw await notUp({ folder, state });
    if (state === 'absent') keeper = await keeperFor(place, keeper);
    await systemClock.sleep(LOOK_MS);
  }
}

/** Starts a keeper unless one is at work: the one we started, or another process's, which then holds the lock. */
async function keeperFor(place: Place, mine: ChildProcess | undefined): Promise<ChildProcess | undefined> {
  const { folder, params } = place;
  if (mine?.exitCode === null && mine.signalCode === null) return mine;
  // One that found the server running ends with 0: the server has gone again since.
  if (mine !== undefined && mine.exitCode !== 0) throw await notUp({ folder, state: 'absent' });
  await makeFolders(params.dataDir, folder); // They may have been deleted since.
  if ((await lockHolder(join(folder, START_LOCK))) !== undefined) return undefined;
  const { command, env } = await serverFor(params);
  params.log.debug({ folder, command }, 'starting the embedded Redis');
  return spawnKeeper(folder, { command, env, graceMs: params.graceMs ?? DEFAULT_GRACE_MS });
}

async function serverFor(params: EmbeddedParams): Promise<RedisServer> {
  const { path, log, dataDir, installDir = dataDir, platform = process.platform } = params;
  const found = await findServer({ path, dataDir: installDir });
  if (found !== undefined) return found;
  if (params.install === true) return installServer({ path, log, dataDir: installDir, platform });
  throw await redisMissing({ path, platform, what: NO_SERVER });
}

/** Detached, with nothing of ours: it outlives this process and must hold neither its terminal nor its secrets. */
async function spawnKeeper(folder: string, orders: KeeperOrders): Promise<ChildProcess> {
  const here = fileURLToPath(import.meta.url);
  const script = join(here, '..', `keeper${extname(here)}`);
  const log = await open(join(folder, KEEPER_LOG), 'a', 0o600);
  try {
    const keeper = spawn(process.execPath, [script, folder, JSON.stringify(orders)], {
      cwd: folder,
      detached: true,
      env: {},
      stdio: ['ignore', 'ignore', log.fd],
    });
    keeper.once('error', () => undefined); // Its exit code says so, too.
    keeper.unref();
    return keeper;
  } finally {
    await log.close();
  }
}

/** What is in them decides what is run: the server, its settings and its data. */
async function makeFolders(dataDir: string, folder: string): Promise<void> {
  try {
    await ownFolder(resolve(dataDir));
    await ownFolder(folder, { deep: true });
    await chmod(folder, 0o700);
  } catch (cause) {
    if (cause instanceof StanddownError) throw cause;
    const message = `cannot use the folder ${folder} (${messageOf(cause)}); set STANDDOWN_DATA_DIR to a folder that this user owns`;
    throw new StanddownError('REDIS_MISSING', message, { cause });
  }
}

function reachable(socketPath: string): string {
  // From here is often shorter; the whole path is better where it fits, for it survives a change of folder.
  const usable = [socketPath, relative(process.cwd(), socketPath)].find(
    (path) => Buffer.byteLength(path) <= SOCKET_PATH_BYTES,
  );
  if (usable !== undefined) return usable;
  const message = `the path ${socketPath} is too long for a socket (more than ${SOCKET_PATH_BYTES} bytes); set STANDDOWN_DATA_DIR to a folder with a shorter path`;
  throw new StanddownError('REDIS_MISSING', message);
}

async function notUp({ folder, state }: { folder: string; state: ServerState }): Promise<StanddownError> {
  const message =
    state === 'silent'
      ? `the embedded Redis in ${folder} accepts connections but does not answer; if its process is suspended, resume it (kill -CONT) or end it`
      : `the embedded Redis in ${folder} did not start: ${await lastLineOf(join(folder, KEEPER_LOG))}; see the logs there`;
  return new StanddownError('REDIS_UNREACHABLE', message, { context: { folder } });
}
