import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { readAudit } from '../../src/campaign/audit.ts';
import { guidToBytes } from '../../src/guid.ts';
import { createProbe } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type LocalSimulator, startLocalSimulator } from '../support/simulator.ts';
import { FREE_LIMITS } from '../support/stack.ts';
import { newGuids, openShell } from './shell.ts';

const NAME = 'wrong scan';

let server: TestRedis;
let simulator: LocalSimulator;

before(async () => {
  server = await openTestRedis();
  simulator = await startLocalSimulator(FREE_LIMITS);
});
after(async () => {
  await simulator.stop();
  await server.close();
});

it('verify has worked when all was read, also where not all were stopped; the history shows who did it', async () => {
  const shell = await openShell(server, simulator.settings);
  const ids = newGuids(2);
  const [stopped = '', went = ''] = ids;
  simulator.addActions([
    { id: stopped, status: 'Cancelled' },
    { id: went, status: 'Succeeded' },
  ]);
  await shell.submit(NAME, ids);
  for (const id of ids) await createProbe(shell.tenant).decide(guidToBytes(id), 1, 'accepted');
  const { code, stdout, stderr } = await shell.run(['verify', NAME, '--json']);
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    tenant: shell.tenant.label,
    campaign: NAME,
    asked: 2,
    noted: 2,
    absent: 0,
    states: { Cancelled: 1, Succeeded: 1 },
    allCancelled: false,
  });
  assert.equal((await shell.run(['watch', NAME])).code, 3, 'whether all were stopped is for watch to say');
  const audit = await readAudit(shell.tenant, 1);
  assert.deepEqual(
    audit.map(({ action, command }) => [action, command]),
    [['verify', "standdown verify 'wrong scan' --json"]],
  );
  await shell.close();
});
