import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { resetSocket } from '../../src/simulator/reset.ts';

/** Both ends of a connection. */
async function openLine(t: TestContext): Promise<{ near: Socket; far: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  const [near] = (await connected) as [Socket];
  far.resume();
  t.after(() => {
    far.destroy();
    server.close();
  });
  return { near, far };
}

test('resets a connection', async (t) => {
  const { near, far } = await openLine(t);
  const failed = once(far, 'error');
  resetSocket(near);
  const [error] = await failed;
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET');
});

test('a connection whose end is just being sent leaves nothing that the process would wait for', async (t) => {
  const { near, far } = await openLine(t);
  const closed = [once(near, 'close'), once(far, 'close')];
  near.end();
  resetSocket(near);
  await Promise.all(closed);
  assert(!process.getActiveResourcesInfo().includes('TCPSocketWrap'));
});

test('one whose end was sent is reset', async (t) => {
  const { near } = await openLine(t);
  near.end();
  await once(near, 'finish');
  const closed = once(near, 'close');
  resetSocket(near);
  await closed;
});
