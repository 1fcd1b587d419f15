import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { messageOf, StanddownError } from '../base/errors.ts';

/** How a file may be written. */
export interface Overwriting {
  /** Whether an existing file is replaced. */
  force: boolean;
}

/**
 * Writes a file that appears only when it is complete, so that nobody takes a part for the whole. Only its owner may read it. A
 * link is followed; a device or a pipe is written to directly.
 *
 * @throws StanddownError INPUT_INVALID when the file cannot be written, or exists and must not be replaced.
 */
export async function writeWhole<T>(
  path: string,
  overwriting: Overwriting,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const { target, isRegular } = await examine(path, overwriting);
  if (!isRegular) return explained(path, () => withFile(target, 'w', fill));
  // In the same folder, because a rename does not cross file systems; under a name that nobody else uses.
  const temporary = `${target}.${randomBytes(6).toString('hex')}.part`;
  try {
    return await explained(path, () =>
      withFile(temporary, 'wx', async (file) => {
        const filled = await fill(file);
        await file.sync();
        // Another program may have created the file in the meantime.
        await examine(path, overwriting);
        await rename(temporary, target);
        return filled;
      }),
    );
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/**
 * Checks whether a file can be written, before the work whose result it will hold.
 *
 * @throws StanddownError INPUT_INVALID
 */
export async function checkWritable(path: string, overwriting: Overwriting): Promise<void> {
  const { target, isRegular } = await examine(path, overwriting);
  if (!isRegular) return;
  const probe = `${target}.${randomBytes(6).toString('hex')}.part`;
  await explained(path, () => withFile(probe, 'wx', async () => undefined)).finally(() =>
    rm(probe, { force: true }).catch(() => undefined),
  );
}

/** A file's format by its name; the first of the formats where the name does not tell. */
export function formatOf<Format extends string>(
  path: string | undefined,
  [first, ...others]: readonly [Format, ...Format[]],
): Format {
  const ending = extname(path ?? '').toLowerCase();
  return (
    others.find((format) => ending === `.${format}` || (format === 'html' && ending === '.htm')) ?? first
  );
}

/** Where the path leads, and whether a regular file is there or can be created. */
async function examine(
  path: string,
  { force }: Overwriting,
): Promise<{ target: string; isRegular: boolean }> {
  if (path === '') throw unwritable(path, 'the name is empty');
  const target = await realpath(path).catch(() => path);
  const found = await stat(target).catch(() => null);
  if (found?.isDirectory()) throw unwritable(path, 'it is a folder; give the name of a file in it');
  if (!found && !(await stat(dirname(target)).catch(() => null))) {
    throw unwritable(path, `folder ${dirname(target)} does not exist; create it first`);
  }
  if (found?.isFile() && !force)
    throw unwritable(path, 'it already exists; use --force to replace it, or another name');
  return { target, isRegular: found === null || found.isFile() };
}

async function withFile<T>(path: string, flags: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, flags, 0o600);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function explained<T>(path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    // Errors of the system concern the file; all others keep their own message.
    if (cause instanceof StanddownError || !(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw unwritable(path, messageOf(cause), cause);
  }
}

function unwritable(path: string, why: string, cause?: unknown): StanddownError {
  return new StanddownError('INPUT_INVALID', `cannot write ${path === '' ? '--output' : path}: ${why}`, {
    cause,
  });
}
