import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { guidToBytes } from '../../src/base/guid.ts';
import type { SeedAction } from '../../src/simulator/index.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { startCommand } from '../support/command.ts';
import { createProbe, recount } from '../support/ledger.ts';
import { type Ran, startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type LocalSimulator, startLocalSimulator } from '../support/simulator.ts';
import { FREE_LIMITS } from '../support/stack.ts';
import { newLabel, seeWorker } from '../support/tenant.ts';
import { KEYS, NO_TERMINAL, startOnTerminal } from '../support/terminal.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { linesOf, newGuids, openShell, type Shell } from './shell.ts';

const CAMPAIGN = 'wrong isolation';
const INTO = ['--campaign', CAMPAIGN, '--comment', 'stop it'];
/** Between two looks at how far a command is: less than a thousand ids take. */
const LOOK_MS = 2;
const NO_SIGN_IN = { AZURE_CLIENT_SECRET: '' };

describe('standdown submit', () => {
  let server: TestRedis;
  let simulator: LocalSimulator;
  let shell: Shell;
  let requestor: string;

  before(async () => {
    server = await openTestRedis();
    simulator = await startLocalSimulator(FREE_LIMITS);
  });
  beforeEach(async () => {
    shell = await openShell(server, { ...simulator.settings, URGENT_RESERVE: 'none' });
    await seeWorker(shell.tenant);
    requestor = `${newLabel()}@contoso.example`;
  });
  afterEach(async () => {
    simulator.setFaults([]);
    assert.deepEqual(await shell.leftBehind(), [], 'something stayed in the data folder');
    await shell.close();
  });
  after(async () => {
    await simulator.stop();
    await server.close();
  });

  async function add(count: number, seed: Partial<SeedAction> = {}): Promise<string[]> {
    const ids = newGuids(count);
    simulator.addActions(ids.map((id) => ({ id, requestor, type: 'Isolate', ...seed })));
    return ids;
  }

  async function submit(ids: readonly string[], ...more: string[]): Promise<Ran> {
    return shell.run(['submit', await shell.write('ids', ids.join('\n')), ...INTO, ...more]);
  }

  /** Exit code and words; and nothing in Redis. */
  async function submitsNothing(ran: Ran, code: number, says: RegExp): Promise<void> {
    assert.deepEqual([ran.code, ran.stdout], [code, ''], ran.stderr);
    assert.match(ran.stderr, says);
    assert.equal(await shell.listed(CAMPAIGN), null, 'a campaign was opened');
  }

  async function listCalls(since = 0): Promise<number> {
    return simulator.calls(since).filter(({ operation }) => operation === 'list').length;
  }

  describe('where nobody is there to answer', () => {
    it('takes what a file names, however many: with --yes and without', async () => {
      const ids = newGuids(101);
      const [plain, yes] = [await submit(ids), await submit(ids, '--yes')];
      assert.deepEqual([plain.code, plain.stderr, yes.code, yes.stderr], [0, '', 0, '']);
      assert.equal((await shell.listed(CAMPAIGN))?.length, 101);
    });

    it('selects only with --yes', async () => {
      const since = simulator.calls().length;
      const ran = await shell.run(['submit', '--where', 'type=Isolate', ...INTO]);
      await submitsNothing(
        ran,
        2,
        /^standdown: Refusing to submit what --where finds without confirmation \(not a terminal\)\. Run again with --yes\.\n/,
      );
      assert.equal(await listCalls(since), 0, 'it says so before it reads');
    });
  });

  describe('on a terminal', { skip: NO_TERMINAL }, () => {
    /** Answers the question with these keys. */
    async function answer(keys: string, args: readonly string[], env: Record<string, string> = {}) {
      const child = startOnTerminal(['submit', ...args, ...INTO], { env: { ...shell.env, ...env } });
      await eventually(() => assert.match(child.stdout, /\[y\/N\] /));
      child.stdin.write(keys);
      return { code: await child.exited, shown: child.stdout.replaceAll('\r', '') };
    }

    it('shows what a file is about, asks, and takes a yes', async () => {
      const ids = [...(await add(100)), ...(await add(3, { type: 'Unisolate', computerDnsName: 'ws-1' }))];
      const file = await shell.write('ids', [...ids, ...newGuids(2)].join('\n'));
      const { code, shown } = await answer(`y${KEYS.enter}`, [file]);
      assert.equal(code, 0, shown);
      const expected = [
        /^103 machine actions\n {2}created {4}\S+ \S+ UTC to \S+ \S+ UTC$/m,
        /^ {2}type {7}Isolate 100 · Unisolate 3$/m,
        /^ {2}machines {3}2: machine\.contoso\.example 100 · ws-1 3$/m,
        /^ {2}2 ids are unknown to Defender$/m,
        /^Campaign "wrong isolation" in tenant \S+ \(new\): 105 actions would be\n {2}queued\n {2}Expected to finish within seconds\n/m,
        /^Submitting cancels real actions\. There is no undo\.$/m,
        /Submit 105 actions to campaign "wrong isolation" in tenant\s+\S+\? \[y\/N\] /,
        /^Campaign "wrong isolation" in tenant \S+: 105 actions queued$/m,
      ];
      for (const words of expected) assert.match(shown, words);
      assert.equal((await shell.listed(CAMPAIGN))?.length, 105);
    });

    it('nothing that is shown is wider than the terminal', async () => {
      const ids: string[] = [];
      for (const type of ['Isolate', 'CollectInvestigationPackage', 'LiveResponse', 'StopAndQuarantineFile'])
        ids.push(...(await add(2, { type, computerDnsName: `ws-of-${type.slice(0, 14)}.contoso.example` })));
      const file = await shell.write('typed', ids.join('\n'));
      await submit(newGuids(2));
      const preview = ['submit', file, ...INTO, '--dry-run'];
      const shown: [columns: number, args: string[], says: RegExp][] = [
        [100, preview, /machines/],
        [80, preview, /machines/],
        [60, preview, /machines/],
        [60, ['select', '--where', `requestor=${requestor}`], /^machine action {2}\S+$/m],
        [60, ['status', CAMPAIGN], /pending/],
        [60, ['verify', CAMPAIGN], /nothing to verify/],
        [60, ['doctor'], /Permission to cancel/],
        [60, ['status', 'a campaign that does not exist'], /no campaign/],
      ];
      await Promise.all(
        shown.map(async ([columns, args, says]) => {
          const child = startOnTerminal(args, { env: shell.env, columns });
          await child.exited;
          const text = child.stdout.replaceAll('\r', '');
          assert.match(text, says);
          // A single word, such as an address, is not broken.
          const wide = text.split('\n').filter((line) => line.length > columns && /\S\s/.test(line));
          assert.deepEqual(wide, [], `${columns} columns: ${args.join(' ')}`);
        }),
      );
    });

    it('takes half an answer and Ctrl-C for a no', async () => {
      const file = await shell.write('ids', newGuids(101).join('\n'));
      const { code, shown } = await answer(`y${KEYS.ctrlC}`, [file], NO_SIGN_IN);
      assert.equal(code, 130, shown);
      assert.match(shown, /^No preview: the settings for sign-in are missing\.\n/);
      assert.match(shown, /\nNothing was submitted\.\n$/);
      assert.equal(await shell.listed(CAMPAIGN), null);
    });

    it('says so as JSON where that was asked for, when the answer is no', async () => {
      const file = await shell.write('ids', newGuids(101).join('\n'));
      const { code, shown } = await answer(`n${KEYS.enter}`, [file, '--json'], NO_SIGN_IN);
      assert.equal(code, 130, shown);
      assert.match(
        shown,
        /\{"error":\{"code":"DECLINED","message":"not confirmed; nothing was changed"\}\}\n$/,
      );
    });

    it('submits nothing unseen where the question would go into a file', async () => {
      const file = await shell.write('ids', newGuids(101).join('\n'));
      const child = startOnTerminal(['submit', file, ...INTO], {
        env: shell.env,
        errorsTo: shell.path('errors'),
      });
      assert.equal(await child.exited, 2);
      assert.match(
        await readFile(shell.path('errors'), 'utf8'),
        /Refusing to submit 101 actions to campaign "wrong isolation" .* without confirmation .* --yes\. Nothing was submitted\./,
      );
      assert.equal(await shell.listed(CAMPAIGN), null);
    });

    it('shows what was selected, asks even for one, and submits that and nothing else', async () => {
      const [id = ''] = await add(1);
      await add(1, { status: 'Succeeded' });
      await add(1, { type: 'Unisolate' });
      const where = ['--where', `requestor=${requestor} and type=Isolate`];
      const { code, shown } = await answer(`yes${KEYS.enter}`, where);
      assert.match(
        shown,
        /^1 machine action\n {2}created .*\n {2}type {7}Isolate 1\n {2}status {5}Pending 1\n/,
      );
      assert.match(shown, /Expected to finish within seconds\n/);
      assert.deepEqual([code, await shell.listed(CAMPAIGN)], [0, [id]]);
    });

    it('does not ask where --yes is given, and shows no preview', async () => {
      const file = await shell.write('ids', newGuids(101).join('\n'));
      const child = startOnTerminal(['submit', file, ...INTO, '--yes'], { env: shell.env });
      assert.equal(await child.exited, 0);
      assert.match(child.stdout, /^Campaign "wrong isolation" .*: 101 actions queued\r\n/);
    });
  });

  describe('--id-column', () => {
    it('names the column or key with the ids, in any case', async () => {
      const [a = '', b = '', c = ''] = newGuids(3);
      const csv = await shell.write('export.csv', `Id,Maßnahme\nrow 1,${a}\nrow 2,${b}\n`);
      const ran = await shell.run(['submit', csv, ...INTO, '--id-column', 'maßnahme']);
      assert.deepEqual([ran.code, ran.stderr], [0, '']);
      const jsonl = await shell.write('export.jsonl', `{"id":1,"ref":"${c}"}\n`);
      assert.equal((await shell.run(['submit', jsonl, ...INTO, '--id-column', 'REF'])).code, 0);
      assert.deepEqual(await shell.listed(CAMPAIGN), [a, b, c]);
    });

    it('that is not there is named, and so are those that are', async () => {
      const csv = await shell.write('export.csv', `ticket,host\n1,${newGuids(1)}\n`);
      const wrong = await shell.run(['submit', csv, ...INTO, '--id-column', 'ref']);
      assert.equal(wrong.code, 2);
      assert.match(wrong.stderr, /the header has no column ref; its columns are ticket, host/);
      const none = await shell.run(['submit', csv, ...INTO]);
      assert.match(none.stderr, /its columns are ticket, host; name the column with --id-column/);
      assert.equal(await shell.listed(CAMPAIGN), null);
    });
  });

  it('takes no campaign whose name commands would take for an option', async () => {
    const file = await shell.write('ids', newGuids(1).join('\n'));
    const ran = await shell.run(['submit', file, '--campaign=-x', '--comment', 'x']);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /the campaign's name must not begin with "-"/);
  });

  it('follows ids that another campaign has, and --wait ends as they do', async () => {
    const ids = newGuids(3);
    await shell.submit('first', ids);
    const probe = createProbe(shell.tenant);
    assert.match(
      (await submit(ids, '--dry-run')).stdout,
      /already queued there\n {2}Expected to finish within seconds\n$/,
    );
    const waiting = startCommand(['submit', await shell.write('ids', ids.join('\n')), ...INTO, '--wait'], {
      env: shell.env,
    });
    await eventually(async () => assert.equal((await shell.listed(CAMPAIGN))?.length, 3));
    for (const id of ids) await probe.decide(guidToBytes(id), 1, 'not_found');
    assert.equal(await waiting.exited, 3, waiting.stderr);
    assert.match(
      waiting.stdout,
      /^Campaign "wrong isolation" .*: 0 actions queued\n {2}3 followed: owned by campaign "first", already queued there\n/,
    );
    assert.match(
      waiting.stdout,
      /Campaign "wrong isolation" .*: done, 3 of 3 actions finished \(100%\)\n {2}not_found +3\n/,
    );
  });

  it('says what it takes over from where', async () => {
    const ids = newGuids(2);
    await shell.submit('first', ids);
    const probe = createProbe(shell.tenant);
    for (const id of ids) await probe.decide(guidToBytes(id), 1, 'forbidden');
    const dry = await submit(ids, '--dry-run');
    const ran = await submit(ids);
    for (const { stdout } of [dry, ran])
      assert.match(stdout, /\n {2}2 taken over from campaign "first", where they ended as forbidden\n/);
    const status = JSON.parse((await shell.run(['status', 'first', '--json'])).stdout);
    assert.deepEqual([status.total, status.outcomes], [2, { forbidden: 2 }]);
  });

  describe('--max', () => {
    const says = /^3 actions found, more than the 2 that --max allows\. Nothing was submitted\.\n$/;

    it('refuses a file with more actions, also in a dry run', async () => {
      const ids = newGuids(3);
      for (const more of [[], ['--yes'], ['--dry-run']])
        await submitsNothing(await submit([...ids, ids[0] ?? ''], '--max', '2', ...more), 2, says);
      const { stdout } = await submit(ids, '--max', '2', '--json');
      assert.equal(JSON.parse(stdout).error.code, 'INPUT_INVALID');
      assert.equal(await shell.listed(CAMPAIGN), null);
    });

    it('refuses a selection with more actions', async () => {
      await add(3);
      const ran = await shell.run([
        'submit',
        '--where',
        `requestor=${requestor}`,
        ...INTO,
        '--yes',
        '--max',
        '2',
      ]);
      await submitsNothing(ran, 2, says);
    });

    it('counts each action once, and no excluded one', async () => {
      const [excluded = '', ...ids] = newGuids(4);
      const exclude = ['--exclude', await shell.write('exclude', excluded)];
      const ran = await submit([excluded, ...ids, ids[0] ?? ''], '--max', '3', ...exclude);
      assert.equal(ran.code, 0, ran.stderr);
      assert.deepEqual(await shell.listed(CAMPAIGN), ids);
    });

    it('is a whole number above zero', async () => {
      for (const max of ['0', '-1', '1.5', 'many', '1e3', ''])
        await submitsNothing(
          await submit(newGuids(1), `--max=${max}`),
          2,
          /^standdown: --max: ".*" is not a whole number above zero\nSee "standdown submit --help"\.\n$/,
        );
    });
  });

  describe('--dry-run', () => {
    it('shows no rows of what Defender does not know', async () => {
      const { code, stderr } = await submit(newGuids(2), '--dry-run');
      assert.equal(code, 0, stderr);
      assert.match(
        stderr,
        /^0 machine actions\n {2}2 ids are unknown to Defender\nDry run: nothing was submitted\.\n$/,
      );
    });

    it('says what would happen, and opens nothing', async () => {
      const [a = '', b = '', ...ids] = await add(120);
      await shell.submit('first', [a, b]);
      const ran = await submit([a, b, ...ids, ids[0] ?? ''], '--dry-run');
      assert.equal(ran.code, 0, ran.stderr);
      const [accepted, tracked, duplicates, done] = linesOf(ran.stdout);
      assert.deepEqual(
        [accepted, tracked, duplicates],
        [
          `Campaign "wrong isolation" in tenant ${shell.tenant.label} (new): 118 actions would be queued`,
          '  2 followed: owned by campaign "first", already queued there',
          '  1 duplicate ignored',
        ],
      );
      assert.match(done ?? '', /^ {2}Expected to finish within seconds$/);
      assert.match(ran.stderr, /^120 machine actions\n {2}created .*\n {2}type {7}Isolate 120\n/);
      assert.match(ran.stderr, /\nDry run: nothing was submitted\.\n$/);
      assert.equal(await shell.listed(CAMPAIGN), null);
    });

    it('--json prints one object', async () => {
      const ran = await submit(newGuids(2), '--dry-run', '--json', '--priority', '2');
      const { etaAt, ...rest } = JSON.parse(ran.stdout);
      assert.deepEqual(rest, {
        dryRun: true,
        tenant: shell.tenant.label,
        campaign: CAMPAIGN,
        created: true,
        accepted: 2,
        already: 0,
        tracked: [],
        takenOver: [],
        open: 2,
        expiring: 0,
        duplicates: 0,
        skipped: 0,
        excluded: 0,
        setAside: [],
      });
      assert.equal(new Date(etaAt).toISOString(), etaAt);
    });

    it('goes on without a preview where reading fails', async () => {
      simulator.setFaults([
        { operation: 'list', fault: { kind: 'status', status: 403, code: 'DisabledFeature', message: 'no' } },
      ]);
      const [refused, unable] = [
        await submit(newGuids(1), '--dry-run'),
        await shell.run(['submit', shell.path('ids'), ...INTO, '--dry-run'], { env: NO_SIGN_IN }),
      ];
      assert.deepEqual([refused.code, unable.code], [0, 0]);
      assert.match(refused.stderr, /^No preview: .*403 \(DisabledFeature: no\).*\nDry run/);
      assert.match(unable.stderr, /^No preview: the settings for sign-in are missing\.\nDry run/);
    });
  });

  describe('--exclude', () => {
    it('leaves out the ids in a file, whatever its format', async () => {
      const ids = newGuids(4);
      const csv = await shell.write(
        'keep.csv',
        `host;ActionId\nws-1;{${ids[1]?.toUpperCase()}}\nws-2;${ids[3]}\n`,
      );
      const ran = await submit(ids, '--exclude', csv);
      assert.deepEqual([ran.code, ran.stderr], [0, '']);
      assert.match(ran.stdout, /^Campaign "wrong isolation" .*: 2 actions queued\n {2}2 excluded\n/);
      assert.deepEqual(await shell.listed(CAMPAIGN), [ids[0], ids[2]]);
    });

    it('submits nothing where it is not sure what is meant', async () => {
      const ids = newGuids(2);
      const bad = await shell.write('bad', `${ids[0]}\nnot an id\n`);
      const all = await shell.write('all', ids.join('\n'));
      const says =
        /^--exclude .*bad, line 2: not a GUID: not an id\nstanddown: --exclude .*: 1 line is not a machine/;
      await submitsNothing(await submit(ids, '--exclude', bad), 2, says);
      await submitsNothing(await submit(ids, '--exclude', bad, '--skip-invalid'), 2, says);
      await submitsNothing(
        await submit(ids, '--exclude', all),
        2,
        /^All actions are excluded\. Nothing was submitted\.\n$/,
      );
      await submitsNothing(
        await submit([...ids, 'x'], '--exclude', all),
        2,
        /1 of 3 entries is not a machine action id\. Nothing was submitted\. Correct them and submit again\.\n$/,
      );
      await submitsNothing(await submit(ids, '--exclude', shell.path('no')), 2, /no such file/);
    });

    it('says that a file excludes nothing', async () => {
      const ran = await submit(newGuids(1), '--exclude', await shell.write('none', '# nobody\n'));
      assert.equal(ran.code, 0);
      assert.match(ran.stderr, /^Note: --exclude .*none contains no machine action ids\n$/);
    });
  });

  describe('--expect-type', () => {
    it('sets aside and lists what is of another type, and what nobody knows', async () => {
      const [a = '', b = ''] = await add(2);
      const [other = ''] = await add(1, { type: 'Unisolate', computerDnsName: 'ws-1\u202e' });
      const [unknown = ''] = newGuids(1);
      const ran = await submit([a, other, unknown, b], '--expect-type', 'isolate', '--json');
      assert.equal(ran.code, 0, ran.stderr);
      const { accepted, setAside } = JSON.parse(ran.stdout);
      assert.equal(accepted, 2);
      assert.deepEqual(setAside, [
        { machineActionId: other, isListed: true, type: 'Unisolate', computerDnsName: 'ws-1\\u202e' },
        { machineActionId: unknown, isListed: false, type: null, computerDnsName: null },
      ]);
      assert.equal(
        linesOf(ran.stderr)[0],
        'Set aside because their type is not the expected one: Unisolate 1 · unknown to Defender 1',
      );
      assert.deepEqual(await shell.listed(CAMPAIGN), [a, b]);
    });

    it('writes what it sets aside where it is told to, as submit takes it, and replaces no file unasked', async () => {
      const [a = ''] = await add(1);
      const others = await add(2, { type: 'Unisolate', computerDnsName: 'ws-1' });
      const path = shell.path('others.csv');
      const expect = ['--expect-type', 'Isolate', '--set-aside', path];
      const ran = await submit([a, ...others], ...expect);
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(ran.stderr, /^Set aside .*: Unisolate 2\nWrote 2 actions to .*others\.csv\n/);
      const taken = await shell.run(['submit', path, '--campaign', 'others', '--comment', 'stop it']);
      assert.equal(taken.code, 0, taken.stderr);
      assert.deepEqual(await shell.listed('others'), others);
      const alone = await submit([a], '--set-aside', shell.path('x.csv'));
      assert.deepEqual([alone.code, alone.stdout], [2, '']);
      assert.match(alone.stderr, /--set-aside works with --expect-type only/);
      const again = await submit([a], ...expect, '--dry-run');
      assert.deepEqual([again.code, again.stdout], [2, '']);
      assert.match(again.stderr, /already exists; use --force/);
      assert.equal((await submit([a], ...expect, '--force')).code, 0);
      assert.equal(
        await readFile(path, 'utf8'),
        'machineActionId,type,computerDnsName\n',
        'not the earlier ones',
      );
    });

    it('takes several types, of what is selected too', async () => {
      const ids = [...(await add(1)), ...(await add(1, { type: 'Unisolate' }))];
      await add(1, { type: 'Offboard' });
      const types = ['--expect-type', 'Isolate, Unisolate'];
      const ran = await shell.run([
        'submit',
        '--where',
        `requestor=${requestor}`,
        ...INTO,
        ...types,
        '--yes',
      ]);
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(ran.stdout, /^Campaign "wrong isolation" .*: 2 actions queued\n {2}1 set aside\n/);
      assert.deepEqual((await shell.listed(CAMPAIGN))?.toSorted(), ids.toSorted());
    });

    it('submits nothing where types cannot be read, and says why', async () => {
      const [id = ''] = await add(1);
      const expect = ['--expect-type', 'Isolate'];
      await submitsNothing(
        await submit(await add(1, { type: 'Offboard' }), ...expect),
        2,
        /\nNo action is left: all were excluded or set aside\. Nothing was submitted\.\n$/,
      );
      const file = shell.path('ids');
      await submitsNothing(
        await shell.run(['submit', file, ...INTO, ...expect], { env: NO_SIGN_IN }),
        2,
        /cannot sign in to read machine actions; missing: AZURE_CLIENT_SECRET or /,
      );
      simulator.setRoles(['Machine.Isolate']);
      try {
        await submitsNothing(
          await submit([id], ...expect),
          1,
          /grant Machine\.Read\.All or Machine\.ReadWrite\.All\n$/,
        );
      } finally {
        simulator.setRoles(['Machine.Isolate', 'Machine.Read.All']);
      }
    });
  });

  describe('--where', () => {
    it('submits what waits before what runs, and shows a summary', async () => {
      const running = await add(1, { status: 'InProgress' });
      const waiting = await add(2);
      await add(1, { status: 'TimeOut' });
      const [kept = ''] = await add(1);
      const exclude = await shell.write('keep', kept);
      const where = ['--where', `requestor=${requestor}`, '--exclude', exclude];
      const ran = await shell.run(['submit', ...where, ...INTO, '--yes', '--json']);
      assert.equal(ran.code, 0, ran.stderr);
      const { accepted, excluded } = JSON.parse(ran.stdout);
      assert.deepEqual([accepted, excluded], [3, 1]);
      assert.match(
        ran.stderr,
        /^3 machine actions\n {2}created .*\n.*\n {2}status {5}Pending 2 · InProgress 1\n/,
      );
      const listed = await shell.listed(CAMPAIGN);
      assert.deepEqual(listed?.slice(0, 2).toSorted(), waiting.toSorted());
      assert.deepEqual(listed?.slice(2), running);
    });

    it('submits only what matches, whatever a server lists', async () => {
      const [id = '', other = ''] = newGuids(2);
      const action = { id, requestor, status: 'Pending' };
      const body = JSON.stringify({ value: [{ ...action, id: other, requestor: 'somebody else' }, action] });
      simulator.setFaults([{ operation: 'list', fault: { kind: 'html', status: 200, body } }]);
      const ran = await shell.run(['submit', '--where', `requestor=${requestor}`, ...INTO, '--yes']);
      assert.equal(ran.code, 0, ran.stderr);
      assert.deepEqual(await shell.listed(CAMPAIGN), [id]);
    });

    it('refuses what makes no sense', async () => {
      const [id = ''] = newGuids(1);
      const file = await shell.write('ids', id);
      const where = ['--where', `requestor=${requestor}`];
      const cases: [args: string[], says: RegExp][] = [
        [[...where, '--yes'], /^No machine action matches\. Nothing was submitted\.\n$/],
        [[...where, '--dry-run'], /^No machine action matches\. Nothing was submitted\.\n$/],
        [[file, ...where, '--yes'], /^standdown: use a file or --where, not both\n/],
        [[file, '--limit', '3'], /^standdown: --order and --limit work with --where only\n/],
        [['--where', 'type', '--yes'], /^standdown: --where, column 5: expected an operator/],
        [[file, '--expect-type', 'Isolate,'], /^standdown: --expect-type: empty type\n/],
        [
          [file, '--priority', '0'],
          /^standdown: invalid priority "0": use 1 \(first\) to 9 \(last\), or urgent\n/,
        ],
        [
          [file, '--expires-in', 'tomorrow'],
          /^standdown: --expires-in: invalid duration "tomorrow"; use a form such as/,
        ],
      ];
      await Promise.all(
        cases.map(async ([args, says]) =>
          submitsNothing(await shell.run(['submit', ...args, ...INTO]), 2, says),
        ),
      );
    });
  });

  it('--priority and --expires-in are a new campaign’s; one that exists keeps its own, and says so', async () => {
    const before = Date.now();
    const first = await submit(newGuids(1), '--priority', '2', '--expires-in', '4h');
    assert.equal(first.code, 0, first.stderr);
    const { redis, keys } = shell.tenant;
    const campaign = await findCampaign(redis, keys, CAMPAIGN);
    assert.equal(campaign.priority, 2);
    const expiresAt = campaign.expiresAt ?? 0;
    const [earliest, latest] = [before, Date.now()].map((at) => at + 4 * 3_600_000);
    assert.ok(expiresAt >= (earliest ?? 0) && expiresAt <= (latest ?? 0), `${expiresAt}`);
    assert.equal(Number(await redis.zscore(keys.expiries, `c${campaign.number}`)), campaign.expiresAt);
    const again = await submit(newGuids(1), '--priority', '7', '--expires-in', '1h', '--json');
    assert.match(
      again.stderr,
      /^The existing campaign keeps its priority: 2 \(change it with "standdown priority"\)\nThe existing campaign keeps its expiry: \d.* UTC.*\n$/,
    );
    const kept = JSON.parse(again.stdout);
    assert.deepEqual([kept.priority, Date.parse(kept.expiresAt)], [2, campaign.expiresAt]);
  });

  it('--wait watches the campaign to its end', async () => {
    const worker = startCommand(['worker'], { env: { ...shell.env, PRECHECK: 'off' }, timings: SHORT });
    try {
      const stopped = await submit(await add(3), '--wait');
      assert.equal(stopped.code, 0, stopped.stderr);
      const ended = await submit(newGuids(1), '--wait');
      assert.equal(ended.code, 3, ended.stdout);
    } finally {
      worker.stop();
      assert.equal(await worker.exited, 0, worker.stderr);
    }
  });

  it('that is killed at any point is simply run again', async () => {
    const ids = newGuids(40_000);
    const file = await shell.write('ids', ids.join('\n'));
    const { redis, keys } = shell.tenant;
    const args = ['submit', file, ...INTO, '--yes', '--json'];
    const total = async () => Number((await redis.hget(keys.campaign(1), 'total')) ?? 0);
    // On a busy machine a kill may come late: what is left has to be enough for the last one.
    for (let kill = 0; kill < 2 && (await total()) < ids.length / 2; kill++) {
      // The first time while room is made for them.
      const until = kill === 0 ? 0 : (await total()) + 1 + Math.floor(Math.random() * (ids.length / 12));
      const isThere = async () => (await redis.exists(keys.campaign(1))) === 1 && (await total()) >= until;
      const child = startCli(args, { env: shell.env });
      let isOver = false;
      child.exited.then(() => {
        isOver = true;
      });
      while (!isOver && !(await isThere())) await delay(LOOK_MS);
      child.kill('SIGKILL');
      await child.exited;
      const listed = (await shell.listed(CAMPAIGN)) ?? [];
      assert.deepEqual(listed, ids.slice(0, listed.length), 'in order, none twice, none left out');
      await recount(shell.tenant, 1);
    }
    const interrupted = await total();
    const { code, stdout } = await shell.run(args);
    const { accepted, already, open } = JSON.parse(stdout);
    assert.deepEqual([code, accepted, already, open], [0, ids.length - interrupted, interrupted, ids.length]);
    assert.deepEqual(await shell.listed(CAMPAIGN), ids);
    await recount(shell.tenant, 1);
    assert.ok(interrupted > 0 && interrupted < ids.length, 'killed half-way');
  });
});
