import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { campaignNameProblem } from '../../src/store/campaign/registry.ts';
import { steer } from '../../src/store/campaign/steer.ts';
import { encode } from '../files/in/reading.ts';
import { TESTER } from '../support/actor.ts';
import { createProbe } from '../support/ledger.ts';
import { type Ran, startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { seeWorker } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { linesOf, newGuids, openShell, type Shell } from './shell.ts';

const SUBMIT = ['--campaign', 'wrong scan', '--comment', 'stop it'];

describe('standdown submit', () => {
  let server: TestRedis;
  let shell: Shell;

  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    shell = await openShell(server);
    await seeWorker(shell.tenant);
  });
  afterEach(async () => {
    assert.deepEqual(await shell.leftBehind(), [], 'something stayed in the data folder');
    await shell.close();
  });
  after(() => server.close());

  async function submit(content: string | Buffer, ...more: string[]): Promise<Ran> {
    return shell.run(['submit', await shell.write('ids', content), ...SUBMIT, ...more]);
  }

  /** Exit 2, nothing on standard output, nothing in Redis; what it says on standard error. */
  async function refused(ran: Ran): Promise<string> {
    assert.deepEqual([ran.code, ran.stdout], [2, ''], ran.stderr);
    assert.doesNotMatch(ran.stderr, / {4}at |a bug/);
    const { redis, keys } = shell.tenant;
    assert.deepEqual(await redis.hgetall(keys.campaigns), {}, 'a campaign was opened');
    assert.equal(await redis.exists(keys.running), 0);
    return ran.stderr;
  }

  const FORMATS: [name: string, make: (ids: string[]) => Buffer][] = [
    ['a plain list', (ids) => encode(`# wrong scan\n${ids.join('\n')}`, 'utf-8')],
    [
      'a plain list, UTF-16LE with a mark, CRLF, in braces and capitals',
      (ids) => encode(ids.map((id) => `{${id.toUpperCase()}}\r\n`).join(''), 'utf-16le', true),
    ],
    [
      'CSV, machineActionId, comma',
      (ids) => encode(`host,machineActionId\n${ids.map((id) => `"a, b",${id}\n`).join('')}`, 'utf-8'),
    ],
    [
      'CSV, ID, semicolon, UTF-8 with a mark, CRLF',
      (ids) => encode(`ID;Host\r\n${ids.map((id) => `"${id}";ä\r\n`).join('')}`, 'utf-8', true),
    ],
    [
      'CSV, actionid, tab, UTF-16LE without a mark',
      (ids) => encode(`state\tactionid\n${ids.map((id) => `Pending\t${id}\n`).join('')}`, 'utf-16le'),
    ],
    [
      'JSONL, MachineActionID, UTF-16BE with a mark, CRLF',
      (ids) => encode(ids.map((id) => `{"MachineActionID":"${id}"}\r\n`).join(''), 'utf-16be', true),
    ],
    [
      'JSONL, id, UTF-16BE without a mark',
      (ids) => encode(ids.map((id) => `{"a":[1],"id":"${id}"}\n`).join(''), 'utf-16be'),
    ],
  ];

  it('takes plain lists, CSV and JSONL in UTF-8 and UTF-16', async () => {
    const take = async ([name, make]: (typeof FORMATS)[number]) => {
      const ids = newGuids(3);
      const stdin = make(ids);
      const ran = await shell.run(['submit', '--campaign', name, '--comment', 'stop it'], { stdin });
      assert.deepEqual([ran.code, ran.stderr], [0, ''], name);
      assert.ok(
        ran.stdout.startsWith(
          `Campaign ${JSON.stringify(name)} in tenant ${shell.tenant.label}: 3 actions queued\n  Expected to finish `,
        ),
        ran.stdout,
      );
      assert.deepEqual(await shell.listed(name), ids, `${name}: in the order of the file`);
    };
    await Promise.all(FORMATS.map(take));
  });

  it('reads standard input when told so with -, and by default', async () => {
    const [first, second] = [newGuids(2), newGuids(2)];
    const named = await shell.run(['submit', '-', ...SUBMIT], { stdin: first.join('\n') });
    assert.equal(named.code, 0, named.stderr);
    const unnamed = await shell.run(['submit', ...SUBMIT], { stdin: encode(second.join('\n'), 'utf-16le') });
    assert.equal(unnamed.code, 0, unnamed.stderr);
    assert.deepEqual(await shell.listed('wrong scan'), [...first, ...second]);
  });

  it('ends at the first signal while it waits for standard input', async () => {
    const child = startCli(['submit', ...SUBMIT], { env: shell.env });
    child.stdin.write(`${newGuids(1)[0]}\nnot an id\n`);
    // Made right before the reading begins.
    await eventually(() => access(shell.env['STANDDOWN_DATA_DIR'] ?? ''));
    child.kill('SIGINT');
    assert.equal(await child.exited, 130);
    assert.equal(child.stdout, '');
    assert.equal(await shell.listed('wrong scan'), null);
  });

  it('names every bad line with the reason, and submits nothing', async () => {
    const [a, b] = newGuids(2);
    const stderr = await refused(await submit(`${a}\nnot an id\n\n${b}\n${a?.replaceAll('-', '')}\n`));
    const lines = linesOf(stderr);
    assert.equal(lines[0], 'line 2: not a GUID: not an id');
    assert.match(lines[1] ?? '', /^line 5: not a GUID: the dashes are missing \(8-4-4-4-12\): [0-9a-f]{32}$/);
    assert.match(
      lines[2] ?? '',
      /^2 of 4 entries are not machine action ids\. Nothing was submitted\..*--skip-invalid/,
    );
    assert.equal(lines.length, 3);
  });

  it('names them however many there are', async () => {
    const lines = linesOf(await refused(await submit(`${newGuids(1)[0]}\n${'x\n'.repeat(6_000)}`)));
    assert.equal(lines.filter((line) => line.startsWith('line ')).length, 6_000);
    assert.match(lines.at(-1) ?? '', /^6,000 of 6,001 entries/);
  });

  it('--skip-invalid submits the rest, and says what it left out', async () => {
    const ids = newGuids(2);
    const ran = await submit(`${ids[0]}\nnot an id\n${ids[1]}\n`, '--skip-invalid');
    assert.equal(ran.code, 0);
    assert.equal(ran.stderr, 'line 2: not a GUID: not an id\n');
    assert.match(
      ran.stdout,
      /^Campaign "wrong scan" in tenant \S+: 2 actions queued\n {2}1 invalid line skipped\n/,
    );
    assert.deepEqual(await shell.listed('wrong scan'), ids);
  });

  it('--skip-invalid with nothing left submits nothing', async () => {
    assert.match(await refused(await submit('x\ny\n', '--skip-invalid')), /contains no machine action ids/);
  });

  it('refuses what holds no ids, or cannot be read', async () => {
    const cases: [file: string, says: RegExp][] = [
      [await shell.write('empty', ''), /empty contains no machine action ids\. Nothing was submitted\./],
      [await shell.write('blank', '\n# nothing\n'), /blank contains no machine action ids/],
      [await shell.write('header.csv', 'id,host\n'), /header\.csv contains no machine action ids/],
      [await shell.write('other.csv', 'name,host\n'), /no id column \(machineActionId, id or ActionId\)/],
      [shell.path('missing.txt'), /missing\.txt: no such file/],
      [shell.path('.'), /this is a folder, not a file/],
    ];
    const refuse = async ([file, says]: (typeof cases)[number]) => {
      const stderr = await refused(await shell.run(['submit', file, ...SUBMIT]));
      assert.match(stderr, says);
      assert.equal(linesOf(stderr).length, 1);
    };
    await Promise.all(cases.map(refuse));
    assert.match(
      await refused(await shell.run(['submit', ...SUBMIT])),
      /^Standard input contains no machine/,
    );
  });

  it('takes 30,000 lines', async () => {
    const ids = newGuids(30_000);
    const ran = await submit(ids.join('\n'), '--yes', '--json');
    assert.equal(ran.code, 0, ran.stderr);
    const { accepted, already, open } = JSON.parse(ran.stdout);
    assert.deepEqual([accepted, already, open], [30_000, 0, 30_000]);
    const listed = await shell.listed('wrong scan');
    assert.equal(listed?.length, 30_000);
    assert.deepEqual([listed[0], listed.at(-1)], [ids[0], ids.at(-1)]);
  });

  it('says that no worker is there, and then forecasts nothing', async () => {
    const { redis, keys } = shell.tenant;
    await redis.del(keys.workers);
    const absent = /^No worker is running for tenant \S+\. Start one with "standdown worker"\.\n/m;
    for (const more of [['--dry-run'], []]) {
      const ran = await submit(newGuids(1).join(), ...more);
      assert.equal(ran.code, 0);
      assert.match(ran.stderr, absent);
      assert.doesNotMatch(ran.stdout, /Expected/);
    }
    const { code, stdout, stderr } = await submit(newGuids(1).join(), '--json');
    assert.deepEqual([code, stderr, JSON.parse(stdout).etaAt], [0, '', null]);
    await redis.hset(keys.workers, 'one', `${Date.now() - 60_000} {"trouble":""}`);
    assert.match(
      (await submit(newGuids(1).join())).stderr,
      /^No worker is running for tenant \S+ \(last seen .* UTC\S* \(1 min ago\)\)\. /m,
    );
  });

  it('says what blocks calls, before and after it submits', async () => {
    const { redis, keys } = shell.tenant;
    await redis.hset(keys.state, 'cancel:penalty', Date.now() + 60_000);
    const penalty = /^Defender asked to wait \(429\)\. Next call at \S+ UTC\S* \(in [^)]+\)\.\n/m;
    for (const more of [['--dry-run'], []])
      assert.match((await submit(newGuids(1).join(), ...more)).stderr, penalty);
    await shell.run(['pause', 'wrong scan']);
    const { stdout, stderr } = await submit(newGuids(1).join());
    assert.match(stderr, /^Paused\. Resume it to continue\.\n/m);
    assert.doesNotMatch(stdout + stderr, /Expected|Next call/);
  });

  it('counts duplicates once, and a repeated submit as already there', async () => {
    const [a = '', b = '', c = ''] = newGuids(3);
    const first = await submit(`${a}\n${b}\n${a.toUpperCase()}\n${a}\n`);
    assert.match(first.stdout, /^Campaign "wrong scan" .*: 2 actions queued\n {2}2 duplicates ignored\n/);
    const second = await submit(`${a}\n${c}\n`);
    assert.match(
      second.stdout,
      /^Campaign "wrong scan" .*: 1 action queued\n {2}1 already in this campaign\n/,
    );
    assert.deepEqual(await shell.listed('wrong scan'), [a, b, c]);
  });

  it('says which ids another campaign owns, and how they stand there', async () => {
    const probe = createProbe(shell.tenant);
    const [open = '', done = '', fresh = ''] = newGuids(3);
    await shell.submit('first', [open, done]);
    await probe.decide(Buffer.from(done.replaceAll('-', ''), 'hex'), 1, 'cancelled');
    const plain = await submit(`${open}\n${done}\n${fresh}\n`);
    const [accepted, ...others] = linesOf(plain.stdout);
    assert.equal(accepted, `Campaign "wrong scan" in tenant ${shell.tenant.label}: 1 action queued`);
    assert.deepEqual(others.slice(0, 2).sort(), [
      '  1 followed: owned by campaign "first", already queued there',
      '  1 followed: owned by campaign "first", ended there as cancelled',
    ]);
  });

  it('a dry run says that the owner of what it would follow is paused', async () => {
    const [id = ''] = newGuids(1);
    await shell.submit('first', [id]);
    await shell.run(['pause', 'first']);
    const { stdout } = await submit(id, '--dry-run');
    assert.match(stdout, /\n {2}1 followed: owned by campaign "first", already queued there \(paused\)\n/);
  });

  it('--json prints one object of a stable shape', async () => {
    const [open = '', fresh = ''] = newGuids(2);
    await shell.submit('first', [open]);
    const ran = await submit(`${open}\nbad\n${fresh}\n${fresh}\n`, '--skip-invalid', '--json');
    assert.deepEqual([ran.code, linesOf(ran.stdout).length], [0, 1]);
    const { etaAt, ...rest } = JSON.parse(ran.stdout);
    assert.deepEqual(rest, {
      tenant: shell.tenant.label,
      campaign: 'wrong scan',
      accepted: 1,
      already: 0,
      duplicates: 1,
      tracked: [{ campaign: 'first', outcome: null, state: 'running', count: 1 }],
      takenOver: [],
      created: true,
      comment: 'stop it',
      priority: 5,
      expiresAt: null,
      skipped: 1,
      excluded: 0,
      setAside: [],
      open: 1,
      expiring: 0,
    });
    assert.equal(new Date(etaAt).toISOString(), etaAt);
  });

  it('keeps the comment of a campaign that exists, and says so', async () => {
    await submit(newGuids(1)[0] ?? '');
    const file = await shell.write('more', newGuids(1)[0] ?? '');
    const ran = await shell.run(['submit', file, '--campaign', 'wrong scan', '--comment', 'another']);
    assert.deepEqual([ran.code, ran.stderr], [0, 'The existing campaign keeps its comment: stop it\n']);
    const { redis, keys } = shell.tenant;
    assert.equal(await redis.hget(keys.campaign(1), 'comment'), 'stop it');
  });

  it('refuses a campaign that was aborted', async () => {
    await shell.submit('wrong scan', newGuids(1));
    await steer(shell.tenant, 'wrong scan', 'abort', TESTER);
    const ran = await submit(newGuids(1)[0] ?? '');
    assert.deepEqual([ran.code, ran.stdout], [2, '']);
    assert.match(
      ran.stderr,
      /^standdown: campaign "wrong scan" in tenant \w+ is aborted and accepts no more actions\n$/,
    );
  });

  const COMMENT = ['--comment', 'stop it'];
  const USAGE: [args: string[], says: RegExp][] = [
    [COMMENT, /required option '--campaign <name>' not specified/],
    [['--campaign', 'a'], /required option '--comment <text>' not specified/],
    [['--campaign', 'a', '--comment', ''], /the comment must not be empty/],
    [['--campaign', 'a', '--comment', ' \t'], /the comment must not be empty/],
    [['--campaign', '', ...COMMENT], /the campaign's name must not be empty/],
    [['--campaign', 'direct-2026', ...COMMENT], /the campaign's name must not begin with "direct-"/],
  ];
  it('refuses to go without a campaign, a comment, and a good name', async () => {
    const refuse = async ([args, says]: (typeof USAGE)[number]) => {
      const stdin = newGuids(1)[0] ?? '';
      assert.match(await refused(await shell.run(['submit', ...args], { stdin })), says);
    };
    await Promise.all(USAGE.map(refuse));
  });

  const NAMES: [name: string, problem: RegExp | null][] = [
    ['wrong scan (14 März, 2/3)', null],
    ['a'.repeat(100), null],
    ['', /empty/],
    ['   ', /empty/],
    [' a', /begin or end with a space/],
    ['a ', /begin or end with a space/],
    ['a\nb', /control characters/],
    ['a\u2028b', /control characters/],
    ['a'.repeat(101), /must be at most 100 characters long/],
    ['direct-', /must not begin with "direct-"/],
  ];
  for (const [name, problem] of NAMES) {
    it(`${problem ? 'does not take' : 'takes'} the name ${JSON.stringify(name.slice(0, 30))}`, () => {
      if (problem) assert.match(campaignNameProblem(name) ?? '', problem);
      else assert.equal(campaignNameProblem(name), null);
    });
  }
});
