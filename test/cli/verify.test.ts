import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { guidToBytes } from '../../src/base/guid.ts';
import { readAudit } from '../../src/store/campaign/audit.ts';
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
    unsettled: 0,
    absent: 0,
    changed: 0,
    settled: 0,
    uncalled: 0,
    open: 0,
    others: 0,
    unknown: 0,
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

it('verify says what there was to read, at each run, so that all actions are accounted for', async () => {
  const shell = await openShell(server, simulator.settings);
  const ids = newGuids(6);
  const [running = '', went = '', absent = '', withdrawn = '', later = ''] = ids;
  const probe = createProbe(shell.tenant);
  const said = async () =>
    (await shell.run(['verify', NAME])).stdout.replace(/^Campaign .*? in tenant \S+: /, '');
  const counts = async () => {
    const {
      tenant: _,
      campaign: __,
      states: ___,
      ...rest
    } = JSON.parse((await shell.run(['verify', NAME, '--json'])).stdout);
    return rest;
  };
  simulator.addActions([
    { id: running, status: 'InProgress' },
    { id: went, status: 'Succeeded' },
    { id: later, status: 'Pending' },
  ]);
  await shell.submit(NAME, ids.slice(0, 5));
  await shell.submit('other', ids.slice(5));
  await shell.submit(NAME, ids.slice(5));
  assert.equal(
    await said(),
    'nothing to verify yet\n  5 actions are pending and can be verified when finished\n  1 followed action is verified by the campaign that owns it\n',
  );
  await probe.decide(guidToBytes(running), 1, 'forbidden');
  for (const id of [went, absent]) await probe.decide(guidToBytes(id), 1, 'accepted');
  await probe.decide(guidToBytes(withdrawn), 1, 'withdrawn');
  assert.equal(
    await said(),
    [
      'checked 3 actions: 2 found, 1 unknown to Defender',
      '  InProgress            1',
      '  Succeeded             1',
      '  1 action has no final status yet; verify again later',
      '  1 action ended as withdrawn, expired or invalid: nothing to verify',
      '  1 action is pending and can be verified when finished',
      '  1 followed action is verified by the campaign that owns it',
      '',
    ].join('\n'),
  );
  const again = {
    asked: 2,
    noted: 1,
    unsettled: 1,
    absent: 1,
    changed: 0,
    settled: 1,
    uncalled: 1,
    open: 1,
    others: 1,
    unknown: 0,
  };
  assert.deepEqual(await counts(), { ...again, allCancelled: false });
  assert.match(
    await said(),
    /^checked 2 actions: 1 found, 1 unknown to Defender\n.*\n.*\n {2}1 more action has a final status/,
  );
  await probe.decide(guidToBytes(ids[5] ?? ''), 2, 'cancelled');
  await shell.run(['delete', 'other', '--force', '--yes']);
  const { others, unknown } = await counts();
  assert.deepEqual([others, unknown], [0, 1], 'it is verified nowhere');
  await shell.close();
});

it('verify has nothing left where every status is final, and nothing where no action has one', async () => {
  const shell = await openShell(server, simulator.settings);
  const [id = '', unsent = ''] = newGuids(2);
  const probe = createProbe(shell.tenant);
  simulator.addActions([{ id, status: 'Succeeded' }]);
  await shell.submit(NAME, [id]);
  await shell.submit('unsent', [unsent]);
  await probe.decide(guidToBytes(id), 1, 'accepted');
  await probe.decide(guidToBytes(unsent), 2, 'expired');
  await shell.run(['verify', NAME]);
  const { stdout: left } = await shell.run(['verify', NAME]);
  assert.match(left, /: nothing left to verify: 1 action has a final status from an earlier check\n$/);
  const { stdout: none } = await shell.run(['verify', 'unsent']);
  assert.match(none, /: nothing to verify: 1 action ended as withdrawn, expired or invalid\n$/);
  await shell.close();
});
