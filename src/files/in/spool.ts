import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ownFolder } from '../../base/own-folder.ts';
import { ID_BYTES } from '../../store/ledger/batch.ts';

/** Ids read back at once. */
const READ_BYTES = 4_000 * ID_BYTES;

export interface Spool {
  add(ids: Buffer): Promise<void>;
  /** Everything that was added, in order. @param signal ends it with its reason. */
  read(signal?: AbortSignal): AsyncGenerator<Buffer>;
  close(): Promise<void>;
}

/**
 * Keeps ids between checking a file and submitting it: 16 bytes each, on disk. A file may change between two readings,
 * a pipe cannot be read twice, and nothing may be submitted before all of it is known to be right.
 *
 * The file has no name as soon as it is open, so that nothing stays behind, whatever happens.
 */
export async function openSpool(dir: string): Promise<Spool> {
  // The file is new and soon without a name: others may write there, but not lead elsewhere.
  await ownFolder(dir, { shared: true });
  const path = join(dir, `submit-${randomBytes(6).toString('hex')}.ids`);
  const file: FileHandle = await open(path, 'wx+', 0o600);
  const isUnnamed = await rm(path).then(
    () => true,
    () => false,
  );
  let end = 0;
  return {
    add: async (ids) => {
      await file.appendFile(ids);
      end += ids.length;
    },
    read: async function* (signal) {
      for (let at = 0; at < end; at += READ_BYTES) {
        signal?.throwIfAborted();
        const part = Buffer.alloc(Math.min(READ_BYTES, end - at));
        await file.read(part, 0, part.length, at);
        yield part;
      }
    },
    close: async () => {
      await file.close();
      if (!isUnnamed) await rm(path, { force: true });
    },
  };
}
