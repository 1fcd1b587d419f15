import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openServer } from '../../gauntlet/server.ts';
import { onFreePort } from '../../support/port.ts';
import { atEnd, testFolder } from './support/machine.ts';
import { startRedis } from './support/plain-redis.ts';

const CLUSTER = ['--cluster-enabled', 'yes'];
const BUS = 10_000;

/** A port whose cluster bus would have one that somebody listens on. */
async function portBelowOneTaken(t: TestContext): Promise<number> {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  atEnd(t, async () => void other.close());
  const address = other.address();
  assert(typeof address === 'object' && address !== null);
  return address.port - BUS;
}

test('a server that cannot have its port is not waited for, and another one there is not taken for it', async (t) => {
  const folder = testFolder(t);
  const { port } = await startRedis(t, { folder });
  await assert.rejects(startRedis(t, { folder: join(folder, 'second'), port }), /Failed listening on port/);
  const below = await portBelowOneTaken(t);
  await assert.rejects(startRedis(t, { folder, port: below, args: CLUSTER }), /Failed listening on port/);
  // Above all ports there is none for the bus.
  await assert.rejects(startRedis(t, { folder, port: 60_001, args: CLUSTER }), /too high/);
});

test('a server whose port was taken meanwhile gets another one', async (t) => {
  const folder = testFolder(t);
  const below = await portBelowOneTaken(t);
  const asked: number[] = [];
  const server = await onFreePort((free) => {
    const port = asked.length === 0 ? below : free;
    asked.push(port);
    return startRedis(t, { folder, port, args: CLUSTER });
  });
  assert.equal(asked.length, 2);
  assert.equal(server.port, asked[1]);
  assert.equal(await server.admin.ping(), 'PONG');
});

test('a server that ends at its start says why, and is not begun again', async (t) => {
  const folder = testFolder(t);
  const settings = ['--maxmemory-policy', 'unheard-of'];
  await assert.rejects(startRedis(t, { folder, args: settings }), /ended at its start/);
  await assert.rejects(openServer(join(folder, 'server'), settings), /ended at its start/);
});
