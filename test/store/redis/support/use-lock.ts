// Holds the lock of the given folder: `count` adds 1 to a file so many times, `hold` keeps it until killed.
import { readFile, writeFile } from 'node:fs/promises';
import { withLock } from '../../../../src/store/redis/lock.ts';

const [, , path = '', file = '', mode = 'hold', times = '1'] = process.argv;
const lock = { path, waitMs: 30_000, what: 'counting', code: 'REDIS_MISSING' } as const;

if (mode === 'hold') {
  await withLock(lock, async () => {
    process.stdout.write('{"held":true}\n');
    await new Promise(() => setInterval(() => undefined, 1000));
  });
} else {
  for (let done = 0; done < Number(times); done += 1) {
    await withLock(lock, async () => {
      const seen = Number(await readFile(file, 'utf8'));
      await new Promise((resolve) => setImmediate(resolve));
      await writeFile(file, String(seen + 1));
    });
  }
  process.stdout.write('{"done":true}\n');
}
