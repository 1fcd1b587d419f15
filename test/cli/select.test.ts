import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { parse } from 'csv-parse/sync';
import { makeActions, type SeedAction } from '../../src/simulator/index.ts';
import { startCommand } from '../support/command.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type LocalSimulator, startLocalSimulator } from '../support/simulator.ts';
import { FREE_LIMITS } from '../support/stack.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { linesOf, newGuids, openShell, type Shell } from './shell.ts';

const MINUTE = 60_000;

describe('standdown select', () => {
  let server: TestRedis;
  let simulator: LocalSimulator;
  let shell: Shell;
  /** Who started a test's actions: nobody else's are its own. */
  let requestor: string;

  before(async () => {
    server = await openTestRedis();
    simulator = await startLocalSimulator(FREE_LIMITS);
  });
  beforeEach(async () => {
    shell = await openShell(server, { ...simulator.settings, URGENT_RESERVE: 'none' });
    requestor = `${newLabel()}@contoso.example`;
  });
  afterEach(async () => {
    simulator.setFaults([]);
    await shell.close();
  });
  after(async () => {
    await simulator.stop();
    await server.close();
  });

  /** Adds an action, so many minutes old. */
  async function add(minutesAgo: number, seed: Partial<SeedAction> = {}): Promise<string> {
    const [id = ''] = newGuids(1);
    const creationDateTimeUtc = new Date(Date.now() - minutesAgo * MINUTE).toISOString();
    simulator.addActions([{ id, requestor, creationDateTimeUtc, ...seed }]);
    return id;
  }

  function select(...args: string[]) {
    return shell.run(['select', ...args]);
  }

  async function rows(...args: string[]): Promise<Record<string, string>[]> {
    const ran = await select(...args);
    assert.equal(ran.code, 0, ran.stderr);
    return linesOf(ran.stdout).map((line) => JSON.parse(line) as Record<string, string>);
  }

  const idsOf = (found: Record<string, string>[]) => found.map(({ machineActionId }) => machineActionId);

  it('lists what matches and has not ended: what waits first, then what runs, oldest first', async () => {
    const running = await add(50, { status: 'InProgress' });
    const young = await add(1);
    const strange = await add(70, { status: 'Queued' });
    const old = await add(30, {
      type: 'Isolate',
      machineId: 'ab12',
      computerDnsName: 'ws-1.contoso.example',
      creationDateTimeUtc: '2026-01-01T08:00:00.1234567Z',
    });
    for (const status of ['Succeeded', 'Failed', 'TimeOut', 'Cancelled']) await add(5, { status });
    await add(5, { requestor: `x${requestor}` });
    const where = `requestor=${requestor}`;
    const [all, newest, named, recent] = await Promise.all([
      select('--where', where),
      rows('--where', where, '--order', 'newest', '--limit', '3'),
      rows('--where', `${where} and status=cancelled,Failed`),
      rows('--where', `${where} and created>=-10m and status!=Cancelled`),
    ]);
    assert.equal(all.code, 0, all.stderr);
    const found = linesOf(all.stdout).map((line) => JSON.parse(line) as Record<string, string>);
    assert.deepEqual(idsOf(found), [old, young, running, strange]);
    assert.deepEqual(found[0], {
      machineActionId: old,
      type: 'Isolate',
      status: 'Pending',
      machineId: 'ab12',
      computerDnsName: 'ws-1.contoso.example',
      requestor,
      createdAt: '2026-01-01T08:00:00.123Z',
    });
    assert.match(all.stderr, /^4 machine actions\n {2}created {4}2026-01-01 08:00:00 UTC to /);
    assert.match(all.stderr, /^ {2}type {7}RunAntiVirusScan 3 · Isolate 1$/m);
    assert.match(all.stderr, /^ {2}status {5}Pending 2 · InProgress 1 · Queued 1$/m);
    assert.deepEqual(idsOf(newest), [young, old, running]);
    assert.deepEqual(named.map(({ status }) => status).toSorted(), ['Cancelled', 'Failed']);
    assert.deepEqual(recent.map(({ status }) => status).toSorted(), [
      'Failed',
      'Pending',
      'Succeeded',
      'TimeOut',
    ]);
  });

  it('writes files that submit takes, as they are called', async () => {
    const ids = [await add(3, { computerDnsName: '=cmd()' }), await add(2), await add(1)];
    const [csv, jsonl] = [shell.path('found.csv'), shell.path('found')];
    const where = ['--where', `requestor=${requestor}`];
    const [first, second] = await Promise.all([
      select(...where, '--output', csv),
      select(...where, '--output', jsonl, '--json'),
    ]);
    assert.deepEqual([first.code, first.stdout], [0, ''], first.stderr);
    assert.match(first.stderr, /\nWrote 3 actions to .*found\.csv\n$/);
    assert.equal((await stat(csv)).mode & 0o777, 0o600);
    const table = parse(await readFile(csv), { columns: true }) as Record<string, string>[];
    assert.deepEqual(idsOf(table), ids);
    assert.equal(table[0]?.['computerDnsName'], "'=cmd()", 'a spreadsheet takes it for no formula');
    const { oldest, newest, ...summary } = JSON.parse(second.stdout);
    assert.deepEqual(summary, {
      total: 3,
      byType: { RunAntiVirusScan: 3 },
      byStatus: { Pending: 3 },
      byRequestor: { [requestor]: 3 },
      machines: 2,
      left: 0,
      output: jsonl,
    });
    assert.ok(oldest < newest);
    for (const file of [csv, jsonl]) {
      const ran = await shell.run(['submit', file, '--campaign', file, '--comment', 'stop it']);
      assert.equal(ran.code, 0, ran.stderr);
    }
    assert.deepEqual(await shell.listed(csv), ids);
    assert.deepEqual(await shell.listed(jsonl), ids, 'elsewhere, in the same order');
  });

  it('prints one object with --json, and what it can do in CSV to standard output', async () => {
    const id = await add(1);
    const where = ['--where', `requestor='${requestor}'`];
    const [json, csv] = await Promise.all([select(...where, '--json'), select(...where, '--format', 'csv')]);
    const { actions, left, total } = JSON.parse(json.stdout);
    assert.deepEqual([idsOf(actions), left, total], [[id], 0, 1]);
    assert.match(csv.stdout, /^machineActionId,type,status,machineId,computerDnsName,requestor,createdAt\n/);
    assert.equal(linesOf(csv.stdout).length, 2);
  });

  it('that finds nothing says so, and prints nothing', async () => {
    const ran = await select('--where', `requestor=${requestor} and type=Isolat`);
    assert.deepEqual([ran.code, ran.stdout], [0, '']);
    const [note = '', ...more] = linesOf(ran.stderr);
    assert.match(note, /^Note: unknown type "Isolat"; did you mean Isolate\?$/);
    assert.deepEqual(more, ['No machine action matches.']);
  });

  it('takes nothing that a list brings unasked', async () => {
    const [id = '', other = ''] = newGuids(2);
    const action = { id, requestor, status: 'Pending', creationDateTimeUtc: new Date().toISOString() };
    const value = [
      action,
      { ...action, id: other, requestor: 'somebody else' },
      { ...action, id: 'not-a-guid' },
      { ...action, id: other, status: 'Succeeded' },
    ];
    const body = JSON.stringify({ value });
    simulator.setFaults([{ operation: 'list', fault: { kind: 'html', status: 200, body } }]);
    const ran = await select('--where', `requestor=${requestor}`);
    assert.deepEqual(idsOf(linesOf(ran.stdout).map((line) => JSON.parse(line))), [id]);
    assert.match(ran.stderr, /^2 listed actions do not match and were left out$/m);
  });

  it('refuses what it does not understand, and points at it', async () => {
    const cases: [args: string[], says: string | RegExp][] = [
      [
        ['--where', 'type=Isolate or type=Unisolate'],
        /^standdown: --where, column 14: .*\n {2}type=Isolate or/,
      ],
      [['--where', ''], /^standdown: --where, column 1: expected a field/],
      [[], /required option '--where <conditions>' not specified/],
      [['--where', 'type=Isolate', '--limit', '0'], /--limit: "0" is not a whole number above zero/],
      [['--where', 'type=Isolate', '--order', 'random'], /Allowed choices are oldest, newest/],
      [
        ['--where', 'type=Isolate', '--output', shell.path('no/file')],
        /cannot write .*no\/file: folder .* does not exist/,
      ],
    ];
    const refuse = async ([args, says]: (typeof cases)[number]) => {
      const ran = await select(...args);
      assert.deepEqual([ran.code, ran.stdout], [2, '']);
      assert.match(ran.stderr, new RegExp(says));
    };
    await Promise.all(cases.map(refuse));
  });

  it('without settings to sign in says which are missing', async () => {
    const ran = await shell.run(['select', '--where', 'type=Isolate'], { env: { AZURE_CLIENT_ID: '' } });
    assert.deepEqual([ran.code, ran.stdout], [2, '']);
    assert.equal(ran.stderr, 'standdown: cannot sign in to read machine actions; missing: AZURE_CLIENT_ID\n');
  });

  it('without the permission names it', async () => {
    simulator.setRoles(['Machine.Isolate']);
    try {
      const ran = await select('--where', 'type=Isolate');
      assert.deepEqual([ran.code, ran.stdout], [1, '']);
      assert.match(
        ran.stderr,
        /the token has Machine\.Isolate only: no permission to read machine actions; grant Machine\.Read\.All or Machine\.ReadWrite\.All\n$/,
      );
    } finally {
      simulator.setRoles(['Machine.Isolate', 'Machine.Read.All']);
    }
  });

  it('waits for the rate limit, says until when, and ends at a signal', async (t) => {
    await add(1);
    await rows('--where', `requestor=${requestor}`);
    const env = { ...shell.env, RATE_LIMITS: '1/1h' };
    const waiting = startCommand(['select', '--where', `requestor=${requestor}`], { env });
    t.after(() => waiting.stop());
    // Windows are kept a little longer than they are.
    const says = /^Reading is waiting\. Rate limit reached\. Next call at .* \(in 1 h\)\.$/m;
    await eventually(() => assert.match(waiting.stderr, says));
    waiting.stop();
    assert.deepEqual([await waiting.exited, waiting.stdout], [1, '']);
  });

  it('reads 10,000 actions in as few calls as they take', async () => {
    const { actions, ids } = makeActions({ count: 10_000, seed: Math.floor(Math.random() * 1e9) });
    simulator.addActions(actions.map((action) => ({ ...action, requestor })));
    const since = simulator.calls().length;
    const ran = await select('--where', `requestor=${requestor}`);
    assert.equal(linesOf(ran.stdout).length, ids.length);
    const calls = simulator.calls(since).filter(({ operation }) => operation === 'list');
    assert.ok(calls.length <= 4, `${calls.length} calls`);
  });
});
