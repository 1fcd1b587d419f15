import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import { atEnd, testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { openProxy } from '../support/proxy.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { openConsole } from './support.ts';

test('a console is served when it can show something, however slow Redis is', async (t) => {
  const { port, stop } = await startRedis(t, { folder: testFolder(t) });
  const line = await openProxy(port);
  atEnd(t, () => line.close());
  line.slow(50);
  const env = { REDIS_URL: `redis://127.0.0.1:${line.port}`, STANDDOWN_TENANT: newLabel() };
  const served = await openConsole({ env });
  const first = await request(served.url);
  assert.equal(first.statusCode, 200);
  assert.match(await first.body.text(), /data-live="yes"/);
  await stop();
  // A look that is hardly old is shown once more.
  await eventually(async () => {
    const away = await request(served.url);
    await away.body.dump();
    assert.deepEqual(
      [away.statusCode, away.headers['refresh']],
      [503, '5'],
      'and who comes while it is away is shown it later',
    );
  });
  await served.stop();
});
