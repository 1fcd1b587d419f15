import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, it } from 'node:test';
import type { Finding } from '../../src/ops/doctor/finding.ts';
import { runCommand } from '../support/command.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';

let server: TestRedis;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

/** A proxy that joins two ends, as one in an office does; remembers what it was asked for. */
async function startProxy(refusal?: number) {
  const asked: string[] = [];
  const proxy = createServer((_request, response) => response.writeHead(405).end());
  proxy.on('connect', (request, client, head) => {
    asked.push(request.url ?? '');
    if (refusal !== undefined) return client.end(`HTTP/1.1 ${refusal} No\r\nContent-Length: 0\r\n\r\n`);
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

for (const [status, code, advice] of [
  [407, 'PROXY_AUTH_REQUIRED', /user name and password of the proxy into HTTPS_PROXY/],
  [403, 'PROXY_REFUSED', /Let the proxy of HTTPS_PROXY connect/],
] as const) {
  it(`a proxy that answers ${status}: what it wants is said, for the sign-in and for the API`, async () => {
    const proxy = await startProxy(status);
    const stack = await openStack(server);
    try {
      const env = {
        ...stack.env,
        HTTPS_PROXY: proxy.url,
        NO_PROXY: '',
        DEFENDER_API_URL: 'https://api.invalid',
      };
      const { code: exit, stdout } = await runCommand(['doctor', '--json'], { env });
      assert.equal(exit, 1);
      const { findings } = JSON.parse(stdout) as { findings: Finding[] };
      const problems = findings.filter(({ level }) => level === 'problem');
      assert.deepEqual(
        problems.map(({ check }) => check),
        ['sign-in', 'api'],
      );
      for (const problem of problems) {
        assert.match(problem.finding, new RegExp(`${code}.*${status}`));
        assert.match(problem.advice, advice);
      }
    } finally {
      await stack.close();
      proxy.stop();
    }
  });
}
