import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';

let server: TestRedis;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

/** A proxy that joins two ends, as one in an office does; remembers what it was asked for. */
async function startProxy() {
  const asked: string[] = [];
  const proxy = createServer((_request, response) => response.writeHead(405).end());
  proxy.on('connect', (request, client, head) => {
    asked.push(request.url ?? '');
    const { hostname, port } = new URL(`http://${request.url}`);
    const upstream = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    upstream.on('error', () => client.destroy());
    client.on('error', () => upstream.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  return { asked, url: `http://127.0.0.1:${port}`, stop: () => proxy.close() };
}

for (const { noProxy, through } of [
  { noProxy: '', through: true },
  { noProxy: 'localhost,127.0.0.1', through: false },
]) {
  it(`HTTPS_PROXY with NO_PROXY "${noProxy}": signs in ${through ? 'through' : 'past'} the proxy`, async () => {
    const proxy = await startProxy();
    // As people write it: without a scheme, or with one in capitals.
    const url = through ? proxy.url.replace('http://', '') : proxy.url.replace('http', 'HTTP');
    const stack = await openStack(server, { env: { HTTPS_PROXY: url, NO_PROXY: noProxy } });
    try {
      await stack.startWorker();
      await stack.submit(stack.addActions(3));
      assert.deepEqual((await stack.untilDone()).outcomes, { cancelled: 3 });
      const { host } = new URL(stack.simulator.authorityUrl);
      assert.deepEqual([...new Set(proxy.asked)], through ? [host] : []);
    } finally {
      await stack.close();
      proxy.stop();
    }
  });
}
