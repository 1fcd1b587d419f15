import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { runCommand } from '../../support/command.ts';
import type { TestRedis } from '../../support/redis.ts';
import { keepingLog, openStack, openTestRedis } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';

describe('a worker’s health', () => {
  let server: TestRedis;
  before(async () => {
    server = await openTestRedis();
  });
  after(() => server.close());

  async function statusOf(port: number | null, path: string): Promise<{ status: number; bad: string[] }> {
    const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`, { reset: true });
    const { checks } = (await body.json()) as { checks: { name: string; ok: boolean; detail: string }[] };
    const bad = checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`);
    return { status: statusCode, bad };
  }

  it('is ready once Redis has answered, not while it cannot sign in, and again afterwards', async () => {
    const stack = await openStack(server);
    try {
      const token = { operation: 'token', fault: { kind: 'status', status: 401 } } as const;
      stack.simulator.addFault(token);
      await stack.submit(stack.addActions(3));
      const worker = await stack.startWorker({ HEALTH_PORT: '0' });
      await eventually(async () => {
        const { status, bad } = await statusOf(worker.healthPort, '/readyz');
        assert.equal(status, 503);
        assert.match(bad.join(), /^sign-in: \w+/);
      });
      assert.equal(
        (await statusOf(worker.healthPort, '/healthz')).status,
        200,
        'a new process would not help',
      );
      stack.simulator.setFaults([]);
      await eventually(async () => {
        assert.deepEqual(await statusOf(worker.healthPort, '/readyz'), { status: 200, bad: [] });
      });
      await stack.untilDone();
      await worker.stop();
      await assert.rejects(statusOf(worker.healthPort, '/healthz'), 'nobody listens any more');
    } finally {
      await stack.close();
    }
  });

  it('says at the start, without any work, what is wrong with the sign-in, and then as whom it signed in', async () => {
    const { log, lines } = await keepingLog();
    const stack = await openStack(server, { log });
    const { simulator } = stack;
    const said = (msg: string) =>
      lines.map((line): Record<string, unknown> => JSON.parse(line)).filter((line) => line['msg'] === msg);
    try {
      simulator.addFault({ operation: 'token', fault: { kind: 'status', status: 401 } });
      const worker = await stack.startWorker({ HEALTH_PORT: '0' });
      await eventually(async () => {
        const { status, bad } = await statusOf(worker.healthPort, '/readyz');
        assert.equal(status, 503);
        assert.match(bad.join(), /^sign-in: invalid_client AADSTS7000215: Invalid client secret provided/);
        assert.ok(!bad.join().includes(simulator.clientSecret));
      });
      // Whoever submits now is told so, in place of a time when it will be done.
      await stack.submit(stack.addActions(1));
      await eventually(async () => {
        const { hold, etaAt } = await stack.status();
        assert.match(hold?.detail ?? '', /AADSTS7000215/);
        assert.equal(etaAt, null);
      });
      assert.deepEqual(said('signed in'), []);
      simulator.setFaults([]);
      await stack.untilDone();
      assert.deepEqual(await statusOf(worker.healthPort, '/readyz'), { status: 200, bad: [] });
      const [{ level, application, tenant, user, roles, until } = {}, ...more] = said('signed in');
      assert.deepEqual(
        [level, application, tenant, user, more.length],
        ['info', simulator.clientId, simulator.tenantId, null, 0],
      );
      assert.ok(Array.isArray(roles) && roles.includes('Machine.Scan'));
      assert.ok(Date.parse(String(until)) > Date.now());
      assert.ok(!lines.join().includes('eyJ'), 'the token is nobody’s business');
    } finally {
      await stack.close();
    }
  });

  it('is nobody’s business unless a port is set', async () => {
    const stack = await openStack(server);
    try {
      const worker = await stack.startWorker();
      assert.equal(worker.healthPort, null);
    } finally {
      await stack.close();
    }
  });

  it('keeps the worker from starting on a port that is taken', async () => {
    const stack = await openStack(server);
    try {
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0' });
      const env = { ...stack.env, HEALTH_PORT: String(healthPort) };
      const ran = await runCommand(['worker'], { env });
      assert.equal(ran.code, 2);
      assert.match(ran.stderr, /HEALTH_PORT: cannot listen on 127\.0\.0\.1:\d+ .*choose another port/);
    } finally {
      await stack.close();
    }
  });
});
