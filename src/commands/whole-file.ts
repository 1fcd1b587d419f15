import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { messageOf, StanddownError } from '../errors.ts';

/**
 * Writes a file that appears only when it is complete: one that was cut off must not pass for it. Only its owner may read
 * it.
 *
 * @throws StanddownError INPUT_INVALID when it cannot be written.
 */
export async function writeWhole<T>(path: string, fill: (file: FileHandle) => Promise<T>): Promise<T> {
  const temporary = `${path}.part`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      const filled = await fill(file);
      await file.sync();
      await rename(temporary, path);
      return filled;
    } finally {
      await file.close();
    }
  } catch (cause) {
    await rm(temporary, { force: true });
    if (cause instanceof StanddownError) throw cause;
    throw new StanddownError('INPUT_INVALID', `${path} cannot be written: ${messageOf(cause)}`, { cause });
  }
}
