import { createCaller, delay, readOptions, receiveIds } from './program.ts';

/*
 * A script as administrators write it: one call after the other, and a pause that makes 100 a minute (600 ms at windows of
 * real length). It knows nothing of the hour. At a 429 it sleeps for as long as Retry-After says and tries once more; what is
 * refused again is written down as failed, and the script goes on.
 */
const options = readOptions();
const { cancel, close } = createCaller(options);
const [{ max, windowMs }] = options.quotas;
const pauseMs = windowMs / max;

for (const id of await receiveIds()) {
  const answer = await cancel(id);
  if (answer.refused) {
    await delay(answer.retryAfterMs);
    const again = await cancel(id);
    if (again.refused) process.stderr.write(`${id} failed\n`);
  }
  await delay(pauseMs);
}
await close();
