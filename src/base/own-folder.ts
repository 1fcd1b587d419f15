import { lstat, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StanddownError } from './errors.ts';

/*
 * What stands in the data folder is run (a Redis server) or trusted (a login). A folder that somebody else prepared, in a
 * place where anybody may write, must not be taken for ours.
 */

export interface OwnFolderOptions {
  /** Whether what it holds is looked at, too: all of it, but no folder elsewhere. Default: false. */
  deep?: boolean;
  /** Whether others may write in it: for a folder of which nothing is trusted that was there before. Default: false. */
  shared?: boolean;
}

/**
 * Makes a folder for us alone where there is none, and makes sure that nobody but us and root could have put anything there.
 *
 * @throws StanddownError CONFIG_INVALID with what to do.
 */
export async function ownFolder(path: string, options: OwnFolderOptions = {}): Promise<void> {
  if (!(await isThere(path))) await mkdir(path, { recursive: true, mode: 0o700 });
  await assertOwn(path, options);
}

/** The same of what is there; nothing: that it is not. */
export async function assertOwn(path: string, { deep, shared }: OwnFolderOptions = {}): Promise<void> {
  if (!(await isThere(path))) return;
  await assertOurs(path, shared);
  if (deep) for (const each of await pathsIn(path)) await assertOurs(each);
}

async function assertOurs(path: string, shared = false): Promise<void> {
  // Windows has neither.
  const uid = process.geteuid?.();
  if (uid === undefined) return;
  const link = await lstat(path).catch(unlessGone);
  // Who made a link decides where it leads. Its own mode says nothing.
  const found = link?.isSymbolicLink() ? await stat(path).catch(unlessGone) : link;
  for (const each of [link, found]) {
    if (each && each.uid !== uid && each.uid !== 0)
      throw refused(path, `belongs to another user (uid ${each.uid})`);
  }
  if (found && !shared && (found.mode & 0o022) !== 0) {
    const mode = (found.mode & 0o7777).toString(8).padStart(4, '0');
    throw refused(
      path,
      `can be changed by other users (mode ${mode})`,
      `run "chmod go-w ${path}" if you know all that is in it, or `,
    );
  }
}

function refused(path: string, why: string, besides = ''): StanddownError {
  const message = `${path} ${why}, so nothing in it was used; ${besides}set STANDDOWN_DATA_DIR to a folder of your own`;
  return new StanddownError('CONFIG_INVALID', message, { context: { path } });
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(unlessGone)) !== null;
}

/** Files come and go while Redis runs. */
function unlessGone(error: unknown): null {
  if (Reflect.get(Object(error), 'code') === 'ENOENT') return null;
  throw error;
}

/** Not what links lead to. */
async function pathsIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(unlessGone);
  return entries?.map(({ parentPath, name }) => join(parentPath, name)) ?? [];
}
