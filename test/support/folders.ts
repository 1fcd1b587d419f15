import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Where a user's group may write by default, the folders that tests make would not be taken for their own.
process.umask(process.umask() | 0o022);

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Where a Redis server is installed when the machine has none: as the demo does it. */
export const INSTALL_DIR = join(ROOT, '.standdown');

/** Everything that tests write. The test command names a folder for each run, and removes it at the end. */
export const TEST_DIR = join(INSTALL_DIR, process.env['TEST_RUN'] ?? 'test');
