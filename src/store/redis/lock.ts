import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { type ErrorCode, StanddownError } from '../../base/errors.ts';
import { startTimeOf } from './process.ts';

/*
 * The lock is a folder that holds exactly one file, and the file's name says who holds the lock: `free`, or the pid
 * and start time of the holder and a random part. Taking it, giving it back and taking it over from a dead holder are
 * all one `rename` of that file from the name that was seen. Of several processes that saw the same name only one can
 * succeed, for the others the file is gone; and as no holder's name is ever used twice, a late contender can never
 * take away a lock that was taken in the meantime. A process killed at any point leaves exactly one file.
 */
const FREE = 'free';
const LOOK_MS = 20;

export interface LockParams {
  /** The lock's folder; its parent is made if need be. */
  path: string;
  /** How long to wait for a living holder, in ms. */
  waitMs: number;
  /** What is being done under the lock, for the error: "installing Redis". */
  what: string;
  /** Code of the error when the wait is over. */
  code: ErrorCode;
}

/**
 * Runs `work` while no other process (and no other caller in this one) is in it. The lock of a process that died is
 * taken over at once.
 *
 * @throws StanddownError with `code` when a living process still holds the lock after `waitMs`.
 */
export async function withLock<T>(params: LockParams, work: () => Promise<T>): Promise<T> {
  const mine = await ownName();
  inUse.add(mine);
  try {
    await acquire(params, mine);
    try {
      return await work();
    } finally {
      // When somebody has deleted the data folder there is nothing left to give back.
      await move(params.path, mine, FREE);
    }
  } finally {
    inUse.delete(mine);
  }
}

/** This process' own names. One that it does not use any more could not be given back, on a failing disk for one. */
const inUse = new Set<string>();

/** The pid of the living process that holds the lock; `undefined` when it can be had. */
export async function lockHolder(path: string): Promise<number | undefined> {
  const name = await nameIn(path);
  return name === undefined || name === FREE || !(await isAlive(name)) ? undefined : pidOf(name);
}

async function acquire({ path, waitMs, what, code }: LockParams, mine: string): Promise<void> {
  const deadline = systemClock.monotonic() + waitMs;
  for (;;) {
    const name = await nameIn(path);
    if (name === undefined) await create(path);
    else if (name !== FREE && (await isAlive(name))) {
      if (systemClock.monotonic() > deadline) throw stillHeld({ path, waitMs, what, code, name });
      await systemClock.sleep(LOOK_MS);
    } else if (await move(path, name, mine)) return;
  }
}

/** The first free state must appear once only: a folder can be renamed onto an empty one, never onto a full one. */
async function create(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = await mkdtemp(`${path}.`);
  await writeFile(join(fresh, FREE), '', { mode: 0o600 });
  try {
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

async function move(path: string, from: string, to: string): Promise<boolean> {
  try {
    await rename(join(path, from), join(path, to));
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

async function nameIn(path: string): Promise<string | undefined> {
  try {
    return (await readdir(path))[0];
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function ownName(): Promise<string> {
  const started = await startTimeOf(process.pid);
  // Without it every holder would look dead.
  if (started === undefined)
    throw new StanddownError('INTERNAL', 'cannot read the start time of this process');
  return `${process.pid}-${started}-${randomBytes(6).toString('hex')}`;
}

function pidOf(name: string): number {
  return Number(name.split('-')[0]);
}

async function isAlive(name: string): Promise<boolean> {
  if (pidOf(name) === process.pid && !inUse.has(name)) return false;
  return (await startTimeOf(pidOf(name))) === name.split('-')[1];
}

function stillHeld(params: LockParams & { name: string }): StanddownError {
  const pid = pidOf(params.name);
  const seconds = Math.round(params.waitMs / 1000);
  const message = `process ${pid} has been ${params.what} for more than ${seconds} s; wait for it, or end it (kill ${pid}) and try again`;
  return new StanddownError(params.code, message, { context: { lock: params.path, pid } });
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
