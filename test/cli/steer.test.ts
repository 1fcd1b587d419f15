import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { guidToBytes } from '../../src/base/guid.ts';
import { type Detail, OUTCOMES, type Outcome } from '../../src/base/outcome.ts';
import { appendAudit } from '../../src/store/campaign/audit.ts';
import { directName, openDirectCampaign } from '../../src/store/campaign/registry.ts';
import { startCommand } from '../support/command.ts';
import { createProbe, recount } from '../support/ledger.ts';
import { startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { NO_TERMINAL, startOnTerminal } from '../support/terminal.ts';
import { eventually } from '../support/wait.ts';
import { linesOf, newGuids, openShell, type Shell } from './shell.ts';

const NAME = 'wrong scan';

describe('steering a campaign', () => {
  let server: TestRedis;
  let shell: Shell;

  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    shell = await openShell(server);
  });
  afterEach(() => shell.close());
  after(() => server.close());

  async function done(...args: string[]): Promise<string> {
    const ran = await shell.run(args);
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  }

  /** What is said of a campaign when it was changed. */
  function told(what: string, name = NAME): string {
    return `Campaign "${name}" in tenant ${shell.tenant.label}: ${what}\n`;
  }

  async function end(id: string, outcome: Outcome, detail: Detail = {}): Promise<void> {
    const probe = createProbe(shell.tenant);
    const grant = await probe.grant(guidToBytes(id), 1);
    await probe.finish(guidToBytes(id), 1, grant, { verdict: { kind: 'decided', outcome, detail } });
  }

  const CANCELLED: Detail = {
    action: {
      status: 'Cancelled',
      type: 'Isolate',
      machineId: null,
      computerDnsName: null,
      createdAt: null,
      updatedAt: null,
    },
  };

  it('abort ends what is open at once, without a worker, and asks first', async () => {
    const ids = newGuids(2_500);
    await shell.submit(NAME, ids);
    await end(ids[0] ?? '', 'cancelled');
    const asked = await shell.run(['abort', NAME]);
    assert.deepEqual([asked.code, asked.stdout], [2, '']);
    assert.match(
      asked.stderr,
      /Refusing to abort campaign "wrong scan" in tenant \S+ without confirmation \(not a terminal\)\. Run again with --yes\./,
    );
    assert.match(await done('status', NAME, '--json'), /"state":"running"/);
    assert.equal(await done('abort', NAME, '--yes'), told('aborted; 2,499 actions withdrawn'));
    const status = JSON.parse(await done('status', NAME, '--json')) as object;
    assert.deepEqual(
      { ...status },
      { ...status, state: 'aborted', open: 0, outcomes: { cancelled: 1, withdrawn: 2_499 } },
    );
    await recount(shell.tenant, 1);
    assert.equal(await done('abort', NAME), told('was already aborted'));
  });

  it('a campaign that has finished stays as it is, whatever is asked', async () => {
    const [id = ''] = newGuids(1);
    await shell.submit(NAME, [id]);
    await end(id, 'cancelled');
    for (const command of ['pause', 'resume', 'abort']) {
      const words = new RegExp(
        `^Campaign "${NAME}" .*: nothing to ${command}; it finished at \\d\\d:\\d\\d:\\d\\d UTC\\S*\\n$`,
      );
      assert.match(await done(command, NAME), words);
      const said = JSON.parse(await done(command, NAME, '--json'));
      const { label: tenant } = shell.tenant;
      assert.deepEqual(said, { tenant, campaign: NAME, state: 'done', changed: false });
    }
    assert.match(await done('status', NAME, '--json'), /"state":"done"/);
    assert.doesNotMatch(await done('history', NAME), /pause|abort/);
  });

  it('one that follows what is open of others is no finished one: it can be aborted, and has nothing to pause', async () => {
    const [own = '', ...others] = newGuids(3);
    await shell.submit('owner', others);
    await shell.submit(NAME, [own, ...others]);
    const goOn = '2 followed actions are not affected';
    assert.equal(await done('pause', NAME), told(`paused; ${goOn}`));
    await done('resume', NAME);
    await createProbe(shell.tenant).decide(guidToBytes(own), 2, 'cancelled');
    assert.equal(
      await done('pause', NAME),
      told('nothing to pause; 2 pending actions are owned by campaign "owner"'),
    );
    const { state, changed } = JSON.parse(await done('pause', NAME, '--json'));
    assert.deepEqual([state, changed], ['running', false]);
    assert.match(await done('status', NAME, '--json'), /"state":"running"/);
    assert.equal(await done('abort', NAME, '--yes'), told(`aborted; ${goOn}`));
  });

  it('an urgent one that only follows can be paused, and says that it is', async () => {
    const ids = newGuids(2);
    await shell.submit('owner', ids);
    await shell.submit(NAME, ids);
    await done('priority', NAME, 'urgent');
    await done('pause', NAME);
    const { hold, etaAt } = JSON.parse(await done('status', NAME, '--json'));
    assert.deepEqual([hold.reason, etaAt], ['paused', null]);
  });

  it('abort names the campaigns that follow what it withdraws', async () => {
    const ids = newGuids(2);
    await shell.submit(NAME, ids);
    await shell.submit('second', ids.slice(1));
    await shell.submit('third', newGuids(1));
    assert.equal(
      await done('abort', NAME, '--yes'),
      told('aborted; 2 actions withdrawn; some are followed in campaign "second"'),
    );
  });

  it('of one without actions nothing is said to be cancelled', async () => {
    await shell.submit(NAME, []);
    assert.match(await done('status', NAME), /^Campaign "wrong scan" in tenant \S+: no actions yet\n/);
    assert.match(await done('status'), /^wrong scan +empty +0 /m);
    const ran = await shell.run(['watch', NAME]);
    assert.deepEqual(
      [ran.code, /Campaign "wrong scan" in tenant \S+ has no actions\.\n$/.test(ran.stdout)],
      [3, true],
      ran.stdout,
    );
    const last = linesOf((await shell.run(['watch', NAME, '--json'])).stdout).at(-1) ?? '';
    assert.equal(JSON.parse(last).allCancelled, false);
  });

  it('accepts refusals of a campaign that has finished, too, for a retry, and says so', async () => {
    const [id = ''] = newGuids(1);
    await shell.submit(NAME, [id]);
    await end(id, 'forbidden');
    const accepted = /: nothing to resume; it finished at .+; refusals no longer pause it\n$/;
    assert.match(await done('resume', NAME, '--accept-refusals'), accepted);
    const { redis, keys } = shell.tenant;
    assert.equal(await redis.hget(keys.campaign(1), 'tolerant'), '1');
    assert.match(await done('resume', NAME, '--accept-refusals'), accepted, 'it is so already');
  });

  it('makes no campaign of single cancels urgent', async () => {
    const { redis, keys } = shell.tenant;
    await openDirectCampaign(redis, keys, Date.now());
    const ran = await shell.run(['priority', directName(Date.now()), 'urgent']);
    assert.equal(ran.code, 2);
    assert.match(
      ran.stderr,
      /contains single cancels and cannot be urgent; services request urgent cancels in the queue cancel-urgent/,
    );
  });

  it('the day’s single cancels can be paused also while none is open', async () => {
    const { redis, keys } = shell.tenant;
    const now = Date.now();
    const { number } = await openDirectCampaign(redis, keys, now);
    const name = directName(now);
    assert.match(await done('status'), /^direct-\S+ +empty +0 /m, 'nothing of it was done');
    const [id = ''] = newGuids(1);
    const probe = createProbe(shell.tenant);
    const grant = await probe.grant(guidToBytes(id), number, { register: true });
    await probe.finish(guidToBytes(id), number, grant);
    assert.equal(await done('pause', name), told('paused', name));
  });

  it('abort leaves a live claim to its call', async () => {
    const [id = '', other = ''] = newGuids(2);
    await shell.submit(NAME, [id, other]);
    const probe = createProbe(shell.tenant);
    const grant = await probe.grant(guidToBytes(id), 1);
    await done('abort', NAME, '--yes');
    assert.deepEqual((await probe.read(1)).outcomes, { withdrawn: 1 });
    await probe.finish(guidToBytes(id), 1, grant);
    assert.deepEqual((await probe.read(1)).outcomes, { withdrawn: 1, cancelled: 1 });
    await recount(shell.tenant, 1);
  });

  it('priority changes which campaign is fed first', async () => {
    await shell.submit('first', newGuids(1));
    await shell.submit('second', newGuids(1));
    const { redis, keys } = shell.tenant;
    assert.deepEqual(await redis.zrange(keys.running, '0', '-1'), ['1', '2']);
    assert.equal(await done('priority', 'second', '1'), told('priority 1 (was 5)', 'second'));
    assert.deepEqual(await redis.zrange(keys.running, '0', '-1'), ['2', '1']);
    for (const wrong of ['0', '10', 'high', '1.5']) {
      const ran = await shell.run(['priority', 'second', wrong]);
      assert.equal(ran.code, 2);
      assert.match(ran.stderr, /use 1 \(first\) to 9 \(last\)/);
    }
  });

  it('priority urgent has all of a campaign called, also what others own', async () => {
    const ids = newGuids(3);
    const { redis, keys } = shell.tenant;
    await shell.submit('first', ids);
    await shell.submit('second', ids);
    await shell.submit('third', [...ids, ...newGuids(1)]);
    await redis.hset(keys.campaign(3), { cursor: 4, low: 3 });
    for (const name of ['second', 'third']) await done('priority', name, 'urgent');
    const jobs = await redis.lrange(keys.lane('cancel-urgent', 'wait'), 0, -1);
    const fedFor = (number: number) => jobs.filter((job) => job.startsWith(`${number}-`)).length;
    assert.deepEqual([fedFor(2), fedFor(3)], [3, 4]);
    assert.match(await done('history', 'second'), /priority .*5 to urgent/);
  });

  it('delete forgets a campaign that has ended, and nothing else', async () => {
    const [id = '', other = ''] = newGuids(2);
    await shell.submit(NAME, [id]);
    await shell.submit('other', [other]);
    const early = await shell.run(['delete', NAME, '--yes']);
    assert.equal(early.code, 2);
    assert.match(
      early.stderr,
      /Campaign "wrong scan" in tenant \S+ has 1 pending action\. Abort it before you delete it\./,
    );
    await end(id, 'cancelled');
    await appendAudit(shell.tenant, 1, { by: 'x', command: 'x', action: 'export', detail: 'csv' });
    assert.equal((await shell.run(['delete', NAME])).code, 2, 'asks first');
    assert.equal(await done('delete', NAME, '--yes'), told('deleted'));
    assert.equal((await shell.run(['status', NAME])).code, 2);
    const { redis, keys } = shell.tenant;
    const left = await Promise.all([
      redis.exists(keys.campaign(1), keys.ids(1), keys.results(1), keys.audit(1), keys.auditLooks(1)),
      redis.hget(keys.campaigns, NAME),
    ]);
    assert.deepEqual(left, [0, null]);
    await recount(shell.tenant, 2);
    await shell.submit(NAME, [id]);
    assert.equal(
      (await createProbe(shell.tenant).look(guidToBytes(id)))?.state,
      'open',
      'the id is new again',
    );
  });

  it('retry refuses single cancels, whose comments are not kept', async () => {
    const { redis, keys } = shell.tenant;
    const now = Date.now();
    await openDirectCampaign(redis, keys, now);
    const name = `direct-${new Date(now).toISOString().slice(0, 10)}`;
    const { code, stderr } = await shell.run(['retry', name, '--outcome', 'forbidden']);
    assert.equal(code, 2);
    assert.match(stderr, /contains single cancels.*again: true/);
    assert.equal(await redis.zcard(keys.running), 0);
  });

  it('history tells who did what, when, with which command', async () => {
    const file = await shell.write('ids.txt', `${newGuids(2).join('\n')}\n`);
    await done('submit', file, '--campaign', NAME, '--comment', 'by mistake');
    await done('pause', NAME);
    await done('pause', NAME);
    await done('resume', NAME);
    await done('priority', NAME, '2');
    await done('retry', NAME, '--outcome', 'unresolved,forbidden');
    await done('abort', NAME, '--yes');
    const entries = JSON.parse(await done('history', NAME, '--json')) as Record<string, string>[];
    assert.deepEqual(
      entries.map(({ action, detail }) => [action, detail]),
      [
        ['submit', '2 actions'],
        ['pause', ''],
        ['resume', ''],
        ['priority', '5 to 2'],
        ['retry', 'unresolved, forbidden'],
        ['abort', ''],
      ],
      'what changed nothing is not history',
    );
    for (const { at, by, command } of entries) {
      assert.ok(Math.abs(Date.parse(at ?? '') - Date.now()) < 60_000);
      assert.ok(by?.startsWith(`${userInfo().username}@`));
      assert.match(command ?? '', /^standdown (submit|pause|resume|priority|retry|abort) /);
    }
    assert.match(entries[0]?.['command'] ?? '', /--campaign 'wrong scan' --comment 'by mistake'$/);
    assert.match(await done('history', NAME), /priority .* 5 to 2/);
  });

  it('list shows all campaigns', async () => {
    await shell.submit('a', newGuids(1));
    await shell.submit('b', newGuids(2));
    const statuses = JSON.parse(await done('list', '--json')) as { campaign: string; total: number }[];
    assert.deepEqual(
      statuses.map(({ campaign, total }) => [campaign, total]),
      [
        ['a', 1],
        ['b', 2],
      ],
    );
  });

  describe('watch', () => {
    it('ends with 0 when all are cancelled, those that another campaign owns included', async () => {
      const [id = '', other = ''] = newGuids(2);
      await shell.submit(NAME, [id]);
      await shell.submit('second', [id, other]);
      const watching = startCommand(['watch', 'second', '--json'], { env: shell.env });
      assert.equal(JSON.parse(await watching.line()).event, 'status');
      await end(id, 'cancelled', CANCELLED);
      const probe = createProbe(shell.tenant);
      const grant = await probe.grant(guidToBytes(other), 2);
      const verdict = { kind: 'decided', outcome: 'cancelled', detail: CANCELLED } as const;
      await probe.finish(guidToBytes(other), 2, grant, { verdict });
      assert.equal(await watching.exited, 0);
      const events = linesOf(watching.stdout).map((line) => JSON.parse(line) as Record<string, unknown>);
      const outcomes = events.filter(({ event }) => event === 'outcome');
      assert.deepEqual(
        outcomes.map(({ machineActionId, outcome }) => [machineActionId, outcome]),
        [[other, 'cancelled']],
      );
      const last = events.at(-1);
      assert.deepEqual([last?.['event'], last?.['allCancelled'], last?.['open']], ['done', true, 0]);
    });

    for (const outcome of OUTCOMES.filter((each) => each !== 'cancelled')) {
      it(`ends with 3 when one ended as ${outcome}`, async () => {
        const [id = '', other = ''] = newGuids(2);
        await shell.submit(NAME, [id, other]);
        await end(id, 'cancelled', CANCELLED);
        await end(other, outcome);
        const ran = await shell.run(['watch', NAME]);
        assert.equal(ran.code, 3, ran.stderr);
        assert.match(ran.stdout, /Not all actions are known to be cancelled\./);
      });
    }

    it('says why nothing happens, and stops when told', async () => {
      await shell.submit(NAME, newGuids(3));
      const watching = startCli(['watch', NAME], { env: shell.env });
      assert.match(await watching.line(), /^0 of 3 finished; .*No worker is running/);
      watching.kill('SIGINT');
      assert.equal(await watching.exited, 130);
    });

    it('draws on a terminal', { skip: NO_TERMINAL }, async () => {
      const [id = '', other = ''] = newGuids(2);
      await shell.submit(NAME, [id, other]);
      const watching = startOnTerminal(['watch', NAME], { env: { ...shell.env, TERM: 'xterm' } });
      await eventually(() => assert.match(watching.stdout, /0 of 2 finished \(0%\)/));
      await end(id, 'cancelled', CANCELLED);
      await eventually(() => assert.match(watching.stdout, /1 of 2 finished \(50%\)/));
      await end(other, 'cancelled', CANCELLED);
      assert.equal(await watching.exited, 0);
      const shown = watching.stdout;
      assert.match(shown, /█{13}░{12} 1 of 2 finished/, 'a bar');
      assert.match(shown, /No worker is running/);
      assert.match(shown, /of 1,500 calls per hour/);
      assert.ok(shown.includes('\u001b['), 'drawn over, not written one below the other');
    });

    it('shows lines when something changes, not every second', async () => {
      const [id = '', other = ''] = newGuids(2);
      await shell.submit(NAME, [id, other]);
      const watching = startCommand(['watch', NAME], { env: shell.env });
      await watching.line();
      await end(id, 'cancelled', CANCELLED);
      await end(other, 'cancelled', CANCELLED);
      assert.equal(await watching.exited, 0);
      await eventually(() =>
        assert.match(watching.stdout, /2 of 2 finished.*All actions are cancelled\.\n$/s),
      );
    });
  });
});
