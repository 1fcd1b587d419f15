import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { request } from 'undici';
import { StanddownError } from '../../../src/base/errors.ts';
import { type HealthServer, type HealthSource, serveHealth } from '../../../src/ops/health/server.ts';
import { liveness, readiness, type Vitals } from '../../../src/worker/vitals.ts';
import { eventually } from '../../support/wait.ts';

const WELL: Vitals = { turnedAt: 0, seenAt: 100_000, endedLanes: [], signIn: '', stopping: false };
const NOW = 101_000;

describe('health over HTTP', () => {
  const servers: HealthServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });

  async function serve(
    vitals: Vitals,
    { host = '127.0.0.1', metrics = null }: { host?: string; metrics?: HealthSource['metrics'] } = {},
  ): Promise<string> {
    const server = await serveHealth(
      { host, port: 0 },
      { live: () => liveness(vitals), ready: () => readiness(vitals, NOW), metrics },
    );
    servers.push(server);
    return `http://${host}:${server.port}`;
  }

  async function ask(url: string, method: 'GET' | 'HEAD' | 'POST' = 'GET') {
    const { statusCode, body, headers } = await request(url, { method, reset: true });
    return { status: statusCode, text: await body.text(), type: headers['content-type'] };
  }

  it('is well', async () => {
    const base = await serve(WELL);
    for (const path of ['/healthz', '/readyz', '/readyz?verbose']) {
      const { status, text, type } = await ask(base + path);
      assert.equal(status, 200);
      assert.equal(type, 'application/json');
      assert.equal((JSON.parse(text) as { ok: boolean }).ok, true);
    }
    assert.deepEqual(await ask(`${base}/healthz`, 'HEAD').then(({ status, text }) => [status, text]), [
      200,
      '',
    ]);
  });

  const troubles: [what: string, vitals: Partial<Vitals>, live: number, check: string][] = [
    ['Redis has not answered for long', { seenAt: NOW - 30_001 }, 200, 'redis'],
    ['Redis has not answered yet', { seenAt: null }, 200, 'redis'],
    ['it cannot sign in', { signIn: 'invalid_client' }, 200, 'sign-in'],
    ['it stops', { stopping: true }, 200, 'stopping'],
    ['a lane has ended', { endedLanes: ['cancel'] }, 503, 'lanes'],
  ];
  for (const [what, vitals, live, name] of troubles) {
    it(`is not ready when ${what}${live === 200 ? ', but should go on' : ', and should be replaced'}`, async () => {
      const base = await serve({ ...WELL, ...vitals });
      assert.equal((await ask(`${base}/healthz`)).status, live);
      const { status, text } = await ask(`${base}/readyz`);
      assert.equal(status, 503);
      const { checks } = JSON.parse(text) as { checks: { name: string; ok: boolean; detail: string }[] };
      const bad = checks.filter(({ ok }) => !ok);
      assert.deepEqual(
        bad.map((check) => check.name),
        [name],
      );
      assert.notEqual(bad[0]?.detail, '');
    });
  }

  it('is ready while Redis was silent for less', async () => {
    assert.equal((await ask(`${await serve({ ...WELL, seenAt: NOW - 30_000 })}/readyz`)).status, 200);
  });

  it('answers nothing else', async () => {
    const base = await serve(WELL);
    assert.equal((await ask(`${base}/`)).status, 404);
    assert.equal((await ask(`${base}/healthz/x`)).status, 404);
    assert.equal((await ask(`${base}/healthz`, 'POST')).status, 405);
  });

  it('hands out metrics where there are any', async () => {
    const base = await serve(WELL, {
      metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'a 1\n' }),
    });
    assert.deepEqual(await ask(`${base}/metrics`), {
      status: 200,
      text: 'a 1\n',
      type: 'text/plain; version=0.0.4',
    });
    assert.equal((await ask(`${base}/metrics`, 'POST')).status, 405);
    assert.equal((await ask(`${await serve(WELL)}/metrics`)).status, 404);
    const broken = await serve(WELL, { metrics: () => Promise.reject(new Error('no figures')) });
    assert.equal((await ask(`${broken}/metrics`)).status, 500);
    assert.equal((await ask(`${broken}/healthz`)).status, 200);
  });

  it('listens where it is told, and nowhere else', async () => {
    const base = await serve(WELL, { host: '127.0.0.2' });
    assert.equal((await ask(`${base}/healthz`)).status, 200);
    await assert.rejects(ask(`${base.replace('127.0.0.2', '127.0.0.1')}/healthz`), { code: 'ECONNREFUSED' });
  });

  it('keeps no more than some connections, and those not for long', async () => {
    const base = await serve(WELL);
    const { hostname, port } = new URL(base);
    const sockets = Array.from({ length: 100 }, () => connect(Number(port), hostname));
    const open = () => sockets.filter(({ closed }) => !closed).length;
    try {
      for (const socket of sockets) socket.on('error', () => undefined).resume();
      await eventually(() => assert.equal(open(), 64));
      await eventually(() => assert.equal(open(), 0));
      assert.equal((await ask(`${base}/healthz`)).status, 200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  async function refusal(host: string, port: number): Promise<string> {
    const source = { live: () => liveness(WELL), ready: () => liveness(WELL), metrics: null };
    try {
      servers.push(await serveHealth({ host, port }, source));
    } catch (error) {
      assert(error instanceof StanddownError);
      assert.equal(error.code, 'CONFIG_INVALID');
      return error.message;
    }
    return assert.fail('it listens');
  }

  it('says that the port is taken', async () => {
    const base = await serve(WELL);
    assert.match(
      await refusal('127.0.0.1', Number(new URL(base).port)),
      /^HEALTH_PORT: cannot listen on 127\.0\.0\.1:\d+ .*choose another port$/,
    );
  });

  it('says that the address is another machine’s', async () => {
    assert.match(
      await refusal('2001:db8::1', 0),
      /^HEALTH_HOST: cannot listen on \[2001:db8::1\]:0 .*an address of this machine$/,
    );
  });
});
