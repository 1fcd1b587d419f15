import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { openField } from '../end-to-end/support.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { hashOf, pushRaw } from './raw-jobs.ts';

const KINDS = ['good', 'data', 'opts', 'ats', 'text', 'empty'] as const;
const JOBS = 600;
const KILLS = 6;

let server: TestRedis;

before(async () => {
  server = await openTestRedis();
});
after(() => server.close());

it('workers that are killed among jobs that cannot be read leave each with its outcome', async (t) => {
  const field = await openField(server, {
    limits: '1000/1s',
    ids: JOBS,
    simulator: { latencyMs: { min: 20, max: 80 } },
    env: { CALL_TIMEOUT: '2s' },
  });
  const { redis, tenant, ids } = field;
  const key = (suffix: string) => tenant.keys.lane('cancel', suffix);
  const kindOf = (index: number) => KINDS[index % KINDS.length] ?? 'good';
  try {
    for (const [index, machineActionId] of ids.entries()) {
      const data = JSON.stringify({ machineActionId, comment: 'x' });
      const good = { name: 'cancel', data, opts: '{}', timestamp: String(Date.now()) };
      const spoilt = {
        good: {},
        data: { data: '{' },
        opts: { opts: 'null' },
        ats: { ats: 'x' },
        text: {},
        empty: {},
      };
      const kind = kindOf(index);
      const write = hashOf(kind === 'empty' ? {} : { ...good, ...spoilt[kind] });
      await pushRaw(field, 'cancel', `job${index}`, kind === 'text' ? (at) => redis.set(at, 'x') : write);
    }
    const done = () => redis.zcard(key('completed'));
    let seen = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const worker = field.startWorker({ LOG_LEVEL: 'error' });
      const enough = ((kill + 1) * JOBS) / (KILLS + 2);
      await eventually(async () => {
        seen = await done();
        assert.ok(seen >= enough, worker.stderr);
      });
      worker.kill('SIGKILL');
      await worker.exited;
    }
    assert.ok((await done()) < JOBS, 'killed in the middle');
    const last = field.startWorker({ LOG_LEVEL: 'error' });
    await eventually(async () => assert.equal(await done(), JOBS, last.stderr), 70_000);
    for (const [index] of ids.entries()) {
      const result = JSON.parse((await redis.hget(key(`job${index}`), 'returnvalue')) ?? 'null');
      const expected = kindOf(index) === 'good' ? /^(cancelled|already_final)$/ : /^invalid$/;
      assert.match(result?.outcome ?? '', expected, `${kindOf(index)}: ${JSON.stringify(result)}`);
    }
    for (const list of ['wait', 'active']) assert.equal(await redis.llen(key(list)), 0);
    assert.equal(await redis.zcard(key('failed')), 0);
    t.diagnostic(`${JOBS} jobs, ${KILLS} workers killed among them`);
  } finally {
    await field.close();
  }
});
