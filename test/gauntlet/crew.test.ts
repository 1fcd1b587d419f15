import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { startSimulatorProcess } from '../support/simulator.ts';
import { eventually } from '../support/wait.ts';
import { createCrew } from './crew.ts';

let server: TestRedis;
let simulator: Awaited<ReturnType<typeof startSimulatorProcess>>;

before(async () => {
  server = await openTestRedis();
  simulator = await startSimulatorProcess('30/1s,240/15s');
});
after(async () => {
  await simulator.stop();
  await server.close();
});

it('a worker that stops itself after its time to stand still is woken', async () => {
  const crew = createCrew(1, {
    ...simulator.settings,
    REDIS_URL: server.url,
    STANDDOWN_TENANT: 'crew',
  });
  try {
    const pid = crew.arm(0, 'SIGSTOP', 'before standdown:pulse');
    crew.thaw();
    const state = async () => /^State:\t(.)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
    await eventually(async () => assert.equal(await state(), 'T'));
    crew.tend();
    await eventually(async () => assert.notEqual(await state(), 'T'));
  } finally {
    await crew.destroy();
  }
});
