import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'csv-parse/sync';
import { guidToBytes } from '../../src/base/guid.ts';
import type { Outcome } from '../../src/base/outcome.ts';
import { renderWindows } from '../../src/console/tenant-page.ts';
import { viewBudget } from '../../src/store/budget/view.ts';
import { OPERATIONS } from '../../src/store/keys.ts';
import { runCommand } from '../support/command.ts';
import { createProbe } from '../support/ledger.ts';
import { type Ran, ROOT, runCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { seeWorker } from '../support/tenant.ts';
import { itRuns } from './as-process.ts';
import { linesOf, newGuids, openShell, type Shell } from './shell.ts';

describe('the commands', () => {
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

  /** Ends some ids of the tenant's first campaign. */
  async function decide(ends: Readonly<Record<string, Outcome>>): Promise<void> {
    const probe = createProbe(shell.tenant);
    for (const [id, outcome] of Object.entries(ends)) await probe.decide(guidToBytes(id), 1, outcome);
  }

  /** Exit 2 with nothing on standard output; what is said. */
  async function misused(...args: string[]): Promise<string> {
    const ran = await shell.run(args);
    assert.deepEqual([ran.code, ran.stdout], [2, ''], ran.stderr);
    assert.doesNotMatch(ran.stderr, / {4}at |a bug/);
    return ran.stderr;
  }

  async function json(...args: string[]): Promise<unknown> {
    const ran = await shell.run(args);
    assert.deepEqual([ran.code, ran.stderr, linesOf(ran.stdout).length], [0, '', 1]);
    return JSON.parse(ran.stdout);
  }

  describe('that cannot be followed:', () => {
    it('name no campaign that exists', async () => {
      const says = `standdown: no campaign "nobody" in tenant ${shell.tenant.label}; run "standdown status" to list the campaigns\n`;
      const commands = ['status', 'report', 'pause', 'resume', 'abort'];
      const said = await Promise.all(commands.map((command) => misused(command, 'nobody')));
      assert.deepEqual(new Set(said), new Set([says]));
    });

    const WRONG: [args: string[], says: RegExp][] = [
      [['frobnicate'], /unknown command 'frobnicate'/],
      [['status', '--frobnicate'], /unknown option '--frobnicate'/],
      [['status', 'a', 'b'], /too many arguments/],
      [['report'], /missing required argument 'campaign'/],
      [['report', 'a', '--format', 'xml'], /Allowed choices are jsonl, csv/],
      [['retry', 'a'], /required option '--outcome <outcomes>' not specified/],
      [['retry', 'a', '--outcome', 'lost'], /--outcome: unknown outcome "lost" \(use cancelled, accepted, /],
      [['retry', 'a', '--outcome', 'forbidden'], /no campaign "a" in tenant /],
      [[], /Usage: standdown/],
    ];
    it('are not written as they should be', async () => {
      const refuse = async ([args, says]: (typeof WRONG)[number]) =>
        assert.match(await misused(...args), says);
      await Promise.all(WRONG.map(refuse));
    });

    it('without a tenant', async () => {
      const { code, stderr } = await runCommand(['status'], { env: { REDIS_URL: server.url } });
      assert.equal(code, 2);
      assert.match(stderr, /^standdown: no tenant selected; set STANDDOWN_TENANT/);
    });

    it('with an address of Redis that is none', async () => {
      const { code, stderr } = await shell.run(['status'], { env: { REDIS_URL: 'redis://:hunter2%@host' } });
      assert.equal(code, 2);
      assert.match(stderr, /^standdown: REDIS_URL: /);
      assert.doesNotMatch(stderr, /hunter2/);
    });

    it('repeat no secret, not even one that was typed', async () => {
      const env = {
        AZURE_TENANT_ID: 'contoso.example',
        AZURE_CLIENT_ID: 'app',
        AZURE_CLIENT_SECRET: 'typed-by-mistake',
      };
      const { code, stderr } = await shell.run(['status', 'typed-by-mistake'], { env });
      assert.equal(code, 2);
      assert.match(stderr, /^standdown: no campaign "\[secret\]" in tenant /);
    });

    it('a worker without settings to sign in says which', async () => {
      const names = [
        'AZURE_TENANT_ID',
        'AZURE_CLIENT_ID',
        'AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH',
      ];
      assert.match(await misused('worker'), new RegExp(`missing: ${names.join(', ')}\n$`));
      const { code, stderr } = await shell.run(['worker'], { env: { AZURE_TENANT_ID: 'contoso.example' } });
      assert.equal(code, 2);
      assert.match(stderr, new RegExp(`missing: ${names.slice(1).join(', ')}\n$`));
    });
  });

  it('--help and --version', async () => {
    const [help, ofSubmit, version] = await Promise.all([
      shell.run(['--help']),
      shell.run(['submit', '--help']),
      runCli(['--version']),
    ]);
    assert.deepEqual([help.code, help.stderr], [0, '']);
    for (const name of [
      'worker',
      'submit',
      'status',
      'report',
      'budget',
      'pause',
      'abort',
      'retry',
      'demo',
    ]) {
      assert.match(help.stdout, new RegExp(`^ {2}${name}\\b`, 'm'));
    }
    assert.deepEqual([ofSubmit.code, ofSubmit.stderr], [0, '']);
    assert.match(ofSubmit.stdout, /--campaign <name>[\s\S]*--comment <text>[\s\S]*--skip-invalid/);
    const { version: expected } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
    assert.deepEqual([version.code, version.stdout, version.stderr], [0, `${expected}\n`, '']);
  });

  describe('status --json', () => {
    beforeEach(() => seeWorker(shell.tenant));

    it('has the shape that is promised: running, paused, done', async () => {
      const [a = '', b = '', c = ''] = newGuids(3);
      await shell.submit('wrong scan', [a, b, c]);
      await shell.submit('second', [c]);
      await decide({ [a]: 'cancelled', [b]: 'not_found' });
      const running = (await json('status', 'wrong scan', '--json')) as { etaAt: string; createdAt: string };
      const facts = { tenant: shell.tenant.label, comment: 'test', requestedBy: null, priority: 5 };
      assert.deepEqual(running, {
        ...facts,
        campaign: 'wrong scan',
        createdAt: running.createdAt,
        state: 'running',
        total: 3,
        open: 1,
        unknown: 0,
        tracked: { total: 0, open: 0 },
        outcomes: { cancelled: 1, not_found: 1 },
        hold: null,
        etaAt: running.etaAt,
        expiring: 0,
        expiresAt: null,
      });
      for (const time of [running.etaAt, running.createdAt]) assert.equal(new Date(time).toISOString(), time);

      assert.deepEqual(await json('pause', 'wrong scan', '--json'), {
        tenant: shell.tenant.label,
        campaign: 'wrong scan',
        state: 'paused',
        changed: true,
      });
      assert.deepEqual(await json('status', 'wrong scan', '--json'), {
        ...running,
        state: 'paused',
        hold: { reason: 'paused', until: null, detail: '' },
        etaAt: null,
        expiring: null,
      });

      await json('resume', 'wrong scan', '--json');
      await decide({ [c]: 'cancelled' });
      const [first, second] = (await json('status', '--json')) as { createdAt: string }[];
      assert.deepEqual(
        [first, second],
        [
          {
            ...running,
            state: 'done',
            open: 0,
            outcomes: { cancelled: 2, not_found: 1 },
            etaAt: null,
            expiring: null,
          },
          {
            ...facts,
            campaign: 'second',
            createdAt: second?.createdAt,
            state: 'done',
            total: 1,
            open: 0,
            unknown: 0,
            tracked: { total: 1, open: 0 },
            outcomes: { cancelled: 1 },
            hold: null,
            etaAt: null,
            expiring: null,
            expiresAt: null,
          },
        ],
      );
    });

    it('says until when a penalty holds', async () => {
      await shell.submit('wrong scan', newGuids(1));
      const { redis, keys } = shell.tenant;
      const until = Date.now() + 60_000;
      await redis.hset(keys.state, 'cancel:penalty', until);
      const { hold, etaAt } = (await json('status', 'wrong scan', '--json')) as {
        hold: Record<string, string>;
        etaAt: string;
      };
      assert.deepEqual([hold['reason'], hold['until']], ['penalty', new Date(until).toISOString()]);
      assert.ok(Date.parse(etaAt) >= until, 'the forecast knows of it');
    });

    it('of no campaign at all is an empty list', async () =>
      assert.deepEqual(await json('status', '--json'), []));
  });

  it('status for people, with a campaign and without', async () => {
    const [a = '', b = ''] = newGuids(2);
    await shell.submit('wrong scan', [a, b]);
    await decide({ [a]: 'cancelled' });
    const one = await shell.run(['status', 'wrong scan']);
    assert.match(
      one.stdout,
      /^Campaign "wrong scan" in tenant \S+: running, 1 of 2 actions finished \(50%\)\n {2}cancelled +1\n {2}pending +1\n {2}No worker is running .*\n {2}comment +test\n {2}priority +5\n {2}created +\d\d:\d\d:\d\d UTC\S* \(.* ago\)\n/,
    );
    const all = await shell.run(['status']);
    assert.match(
      all.stdout,
      /^campaign +status +total +pending +cancelled +ETA +blocked by\nwrong scan +running +2/,
    );
  });

  it('the list of campaigns names a missing worker before what else blocks them, and a pause before that', async () => {
    await shell.submit('waiting', newGuids(1));
    await shell.submit('paused', newGuids(1));
    await shell.run(['pause', 'paused']);
    const { redis, keys } = shell.tenant;
    await redis.hset(keys.state, 'cancel:penalty', Date.now() + 60_000);
    const alone = (await shell.run(['status'])).stdout;
    assert.match(alone, /^waiting +running .* no worker$/m);
    assert.match(alone, /^paused +paused .* paused$/m);
    await seeWorker(shell.tenant);
    assert.match((await shell.run(['status'])).stdout, /^waiting +running .* 429 from Defender$/m);
  });

  it('pause, abort and retry say what they did; doing it again changes nothing', async () => {
    const [a = '', b = ''] = newGuids(2);
    await shell.submit('wrong scan', [a, b]);
    await decide({ [a]: 'forbidden' });
    const said = async (...args: string[]) => (await shell.run([...args])).stdout;
    const told = (what: string) => `Campaign "wrong scan" in tenant ${shell.tenant.label}: ${what}\n`;
    assert.match(
      await misused('retry', 'wrong scan', '--outcome', 'cancelled,forbidden'),
      /Refusing to retry cancelled actions of campaign "wrong scan" .* --yes\./,
    );
    assert.equal(await said('retry', 'wrong scan', '--outcome', 'forbidden'), told('1 action queued again'));
    assert.equal(await said('pause', 'wrong scan'), told('paused'));
    assert.equal(await said('pause', 'wrong scan'), told('was already paused'));
    assert.match(await misused('abort', 'wrong scan'), /Refusing to abort campaign "wrong scan" .* --yes\./);
    assert.equal(await said('abort', 'wrong scan', '--yes'), told('aborted; 2 actions withdrawn'));
    assert.equal(await said('abort', 'wrong scan', '--yes'), told('was already aborted'));
    assert.match(
      await misused('resume', 'wrong scan'),
      /campaign "wrong scan" in tenant \S+ is aborted; there is nothing to resume/,
    );
    assert.match(
      await misused('retry', 'wrong scan', '--outcome', 'forbidden'),
      /campaign "wrong scan" .* is aborted/,
    );
  });

  describe('report', () => {
    const [cancelled = '', refused = '', elsewhere = '', openA = '', openB = ''] = newGuids(5);

    beforeEach(async () => {
      await shell.submit('wrong scan', [openA, cancelled, refused, openB]);
      await shell.submit('second', [elsewhere, cancelled]);
      await decide({ [cancelled]: 'cancelled' });
      const probe = createProbe(shell.tenant);
      const id = guidToBytes(refused);
      await probe.finish(id, 1, await probe.grant(id, 1), {
        verdict: {
          kind: 'decided',
          outcome: 'forbidden',
          detail: {
            httpStatus: 403,
            errorCode: 'Forbidden',
            errorMessage: '=HYPERLINK("x"),\n"quoted"',
            correlationId: 'c-1',
            action: {
              status: 'Pending',
              type: 'Isolate',
              machineId: 'm-1',
              computerDnsName: 'host-1',
              createdAt: '2026-01-01T00:00:00.000Z',
              updatedAt: null,
            },
          },
        },
      });
    });

    it('is JSONL by default: a line per id, what is open last', async () => {
      const ran = await shell.run(['report', 'wrong scan']);
      assert.deepEqual([ran.code, ran.stderr], [0, '']);
      const lines = linesOf(ran.stdout).map((line) => JSON.parse(line));
      assert.deepEqual(
        lines.map(({ machineActionId, outcome }) => [machineActionId, outcome]),
        [
          [cancelled, 'cancelled'],
          [refused, 'forbidden'],
          [openA, null],
          [openB, null],
        ],
      );
      const [, refusal, open] = lines;
      assert.deepEqual(refusal, {
        machineActionId: refused,
        outcome: 'forbidden',
        httpStatus: 403,
        errorCode: 'Forbidden',
        errorMessage: '=HYPERLINK("x"),\n"quoted"',
        correlationId: 'c-1',
        action: {
          status: 'Pending',
          type: 'Isolate',
          machineId: 'm-1',
          computerDnsName: 'host-1',
          createdAt: '2026-01-01T00:00:00.000Z',
          updatedAt: null,
        },
        attempts: 1,
        uncertain: false,
        campaign: 'wrong scan',
        requestedAt: refusal.requestedAt,
        decidedAt: refusal.decidedAt,
      });
      assert.deepEqual(open, {
        machineActionId: openA,
        outcome: null,
        attempts: 0,
        uncertain: false,
        campaign: 'wrong scan',
        requestedAt: open.requestedAt,
        decidedAt: null,
      });
    });

    it('names the campaign that owns an id, and its outcome there', async () => {
      const ran = await shell.run(['report', 'second']);
      const lines = linesOf(ran.stdout).map((line) => JSON.parse(line));
      assert.deepEqual(
        lines.map(({ machineActionId, campaign, outcome }) => [machineActionId, campaign, outcome]),
        [
          [cancelled, 'wrong scan', 'cancelled'],
          [elsewhere, 'second', null],
        ],
      );
    });

    it('is CSV that a spreadsheet takes, and takes for no formula', async () => {
      const ran = await shell.run(['report', 'wrong scan', '--format', 'csv']);
      assert.deepEqual([ran.code, ran.stderr], [0, '']);
      const rows = parse(ran.stdout, { columns: true }) as Record<string, string>[];
      assert.deepEqual(
        rows.map((row) => [row['machineActionId'], row['outcome'], row['decidedAt'] !== '']),
        [
          [cancelled, 'cancelled', true],
          [refused, 'forbidden', true],
          [openA, 'pending', false],
          [openB, 'pending', false],
        ],
      );
      const refusal = rows[1] ?? {};
      assert.equal(refusal['errorMessage'], `'=HYPERLINK("x"),\n"quoted"`);
      assert.deepEqual(
        [refusal['httpStatus'], refusal['actionType'], refusal['uncertain'], refusal['actionUpdatedAt']],
        ['403', 'Isolate', 'false', ''],
      );
    });

    it('--output writes a file that only its owner may read, and nothing to standard output', async () => {
      const path = shell.path('report.csv');
      const ran = await shell.run(['report', 'wrong scan', '--format', 'csv', '--output', path]);
      assert.deepEqual(
        [ran.code, ran.stdout, ran.stderr],
        [0, '', `Wrote the outcomes of 4 actions to ${path}\n`],
      );
      assert.equal(parse(await readFile(path, 'utf8'), { columns: true }).length, 4);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
    });

    it('--output says by its name what it holds; a file that is there stays unless --force says otherwise', async () => {
      const write = async (name: string, ...more: string[]) => {
        const ran = await shell.run(['report', 'wrong scan', '--output', shell.path(name), ...more]);
        assert.equal(ran.code, 0, ran.stderr);
        return readFile(shell.path(name), 'utf8');
      };
      assert.match(await write('by-name.HTML'), /^<!doctype html>/i);
      assert.match(await write('by-name.csv'), /^machineActionId,/);
      for (const name of ['by-name', 'by-name.txt', 'by-name.jsonl'])
        assert.match(await write(name), /^\{"machineActionId":/);
      assert.match(await write('other.csv', '--format', 'jsonl'), /^\{/, 'what is said counts');

      const path = await shell.write('kept.csv', 'as it was');
      const stderr = await misused('report', 'wrong scan', '--output', path);
      assert.match(stderr, /cannot write .*kept\.csv: it already exists; use --force to replace it/);
      assert.equal(await readFile(path, 'utf8'), 'as it was');
      assert.match(await write('kept.csv', '--force'), /^machineActionId,/);
    });

    it('--output where nothing can be written: exit 2, and says why', async () => {
      const stderr = await misused('report', 'wrong scan', '--output', shell.path('missing/report.jsonl'));
      assert.match(
        stderr,
        /^standdown: cannot write .*report\.jsonl: folder .* does not exist; create it first\n$/,
      );
    });

    it('leaves a file as it was when there is no such campaign', async () => {
      const path = await shell.write('kept', 'as it was');
      await misused('report', 'nobody', '--output', path, '--force');
      assert.equal(await readFile(path, 'utf8'), 'as it was');
    });
  });

  it('budget, for programs and for people', async () => {
    const [id = ''] = newGuids(1);
    await shell.submit('wrong scan', [id]);
    await decide({ [id]: 'cancelled' });
    // The reserve is of cancels only.
    const windows = (used: number, [minute = 0, hour = 0]: number[]) => [
      { max: 100, lengthMs: 60_000, used, allowed: 100, free: 100 - used, reserved: minute },
      { max: 1_500, lengthMs: 3_600_000, used, allowed: 1_500, free: 1_500 - used, reserved: hour },
    ];
    assert.deepEqual(
      await json('budget', '--json'),
      OPERATIONS.map((operation) => ({
        operation,
        windows: operation === 'cancel' ? windows(1, [10, 30]) : windows(0, []),
        holds: [],
        workers: [],
        pace: null,
      })),
    );
    const { stdout } = await shell.run(['budget']);
    assert.match(stdout, /^cancel +1h +1 +1,500 +1,499 +30 +1,469$/m);
    assert.match(stdout, /No worker is running for tenant \S+\. Start one with "standdown worker"\.\n$/);
  });

  it('budget gives the numbers of the lowered pace after a 429, in its table and in its sentences', async () => {
    const { tenant } = shell;
    const { redis, keys } = tenant;
    await seeWorker(tenant);
    await shell.submit('wrong scan', newGuids(2));
    const now = Date.now();
    // It does not recover before a minute has passed.
    await redis.hset(keys.state, {
      'cancel:pace': '0.74',
      'cancel:pacedAt': now + 60_000,
      'cancel:refusals': 1,
    });
    const slots = Array.from({ length: 70 }, (_, i) => [now - i, `${now + i}`]).flat();
    await redis.zadd(keys.slots('cancel'), ...slots);
    const { stdout } = await shell.run(['budget']);
    assert.match(
      stdout,
      /^calls +window +used +limit +allowed now +free +reserved +available to campaigns\n/,
    );
    assert.match(stdout, /^cancel +1m +70 +100 +74 +4 +8 +0$/m);
    assert.match(stdout, /^cancel +1h +70 +1,500 +1,500 +1,430 +30 +1,400$/m);
    assert.match(stdout, /^get +1m +0 +100 +100 +100 +0 +100$/m);
    const pace = '74 of 100 calls per minute (8 of the 74 reserved for urgent requests)';
    assert.ok(
      stdout.includes(`70 calls in the last minute; slowed down to ${pace} after refusals (429)`),
      stdout,
    );
    assert.ok(stdout.includes(`Slowed down to ${pace}; back to full speed`), stdout);
    const page = String(renderWindows(await viewBudget(redis, keys, tenant.limits)));
    const cells = [...page.matchAll(/<td class="number">([\d,]+)<\/td>/g)].map(([, text]) => text);
    assert.deepEqual(cells.slice(0, 6), ['70', '100', '74', '4', '8', '0']);
  });

  it('budget announces no next call while every campaign is paused', async () => {
    const { tenant } = shell;
    await seeWorker(tenant);
    await shell.submit('wrong scan', newGuids(2));
    await tenant.redis.hset(tenant.keys.state, 'cancel:penalty', Date.now() + 60_000);
    assert.match((await shell.run(['budget'])).stdout, /Next call at/);
    await shell.run(['pause', 'wrong scan']);
    assert.match((await shell.run(['budget'])).stdout, /\(429\)\. Calls can be sent again at/);
  });

  describe('while Redis is away', () => {
    const AWAY = { REDIS_URL: 'redis://127.0.0.1:1' };
    const SIGN_IN = {
      AZURE_TENANT_ID: 'contoso.example',
      AZURE_CLIENT_ID: 'app',
      AZURE_CLIENT_SECRET: 'hunter2-hunter2',
    };

    /** Exit 1 instead of a wait, one line that names the place. */
    async function givesUp(args: readonly string[]): Promise<void> {
      const ran = await shell.run(args, { env: { ...AWAY, ...SIGN_IN } });
      assert.deepEqual([ran.code, ran.stdout], [1, ''], ran.stderr);
      const says =
        /^standdown: cannot use Redis at redis:\/\/127\.0\.0\.1:1\/0: nothing is listening there .*\n$/;
      assert.match(ran.stderr, says);
      assert.equal(linesOf(ran.stderr).length, 1);
    }

    it('they give up and say so', async () => {
      await Promise.all([['status'], ['report', 'a'], ['budget'], ['abort', 'a']].map(givesUp));
    });

    it('so does a worker that starts', () => givesUp(['worker']));

    it('submit gives up and says so; nothing is lost', async () => {
      const ids = newGuids(3);
      const file = await shell.write('ids', ids.join('\n'));
      await givesUp(['submit', file, '--campaign', 'wrong scan', '--comment', 'stop it']);
      assert.deepEqual(await shell.leftBehind(), []);
      const again = await shell.run(['submit', file, '--campaign', 'wrong scan', '--comment', 'stop it']);
      assert.equal(again.code, 0, again.stderr);
      assert.deepEqual(await shell.listed('wrong scan'), ids);
    });
  });

  describe('as processes', () => {
    // Those of the other families are in the full run.
    itRuns(
      () => shell,
      [
        [[], 2, /^$/, /^Usage: standdown /],
        [['list', '--json'], 0, /^\[\]\n$/, /^$/],
        [['doctor'], 1, /^problem {2}settings /, /^$/],
      ],
    );
  });

  it('on an older Node say so in one line', async (t) => {
    const old = await oldNode();
    if (!old) {
      t.skip('no Node.js before 22.19 on PATH');
      return;
    }
    // An older Node does not take TypeScript: as they are shipped.
    const shipped = async (name: string) =>
      stripTypeScriptTypes(await readFile(join(ROOT, `src/${name}.ts`), 'utf8'))
        .replaceAll('.ts', '.mjs')
        .replaceAll('./base/', './');
    await shell.write('node-version.mjs', await shipped('base/node-version'));
    const script = await shell.write('cli.mjs', await shipped('cli'));
    await assert.rejects(promisify(execFile)(old, [script, 'status']), (error) => {
      const { code, stdout, stderr } = error as unknown as Ran;
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^standdown needs Node\.js 22\.19 or later; this is v\d+\.\d+\.\d+\n$/);
      return true;
    });
  });
});

/** A Node on this machine that is too old, if there is one. */
async function oldNode(): Promise<string | null> {
  const folders = new Set([...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/bin', '/usr/bin']);
  for (const folder of folders) {
    const path = join(folder, 'node');
    try {
      const { stdout } = await promisify(execFile)(path, ['--version']);
      const [major = 0, minor = 0] = stdout.slice(1).split('.').map(Number);
      if (major < 22 || (major === 22 && minor < 19)) return path;
    } catch {
      // None there.
    }
  }
  return null;
}
