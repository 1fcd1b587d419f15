import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Finding, Level } from '../../src/ops/doctor/finding.ts';
import { ALL_ROLES, type Fault } from '../../src/simulator/index.ts';
import { GREATEST_ID } from '../../src/store/redis/entry-id.ts';
import { testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { runCommand } from '../support/command.ts';
import type { Ran } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { newLabel, newTenant, type TestTenant } from '../support/tenant.ts';
import { SHORT } from '../support/timings.ts';

type Env = Record<string, string>;

describe('doctor', () => {
  let server: TestRedis;
  let stack: Stack;
  let tenant: TestTenant;
  let seen: number;

  before(async () => {
    server = await openTestRedis();
    // The real limits, which nothing is said against; the simulator has the same.
    stack = await openStack(server, { limits: '100/1m,1500/1h', env: { CALL_TIMEOUT: '2s' } });
  });
  beforeEach(async () => {
    const { STANDDOWN_TENANT: _, ...env } = stack.env;
    tenant = await newTenant(stack.redis, env);
    seen = stack.simulator.calls().length;
  });
  afterEach(() => {
    stack.simulator.setFaults([]);
    stack.simulator.setRoles(ALL_ROLES);
  });
  after(async () => {
    await stack.close();
    await server.close();
  });

  interface Examined {
    code: Ran['code'];
    findings: Finding[];
    /** Levels by check, in order, without what is only there because this is a simulator. */
    levels: string[];
  }

  function run(args: readonly string[], env: Env = {}, columns?: number): Promise<Ran> {
    return runCommand(args, {
      env: { ...stack.env, STANDDOWN_TENANT: tenant.label, ...env },
      ...(columns !== undefined && { columns }),
    });
  }

  async function examine(env: Env = {}): Promise<Examined> {
    const { code, stdout, stderr } = await run(['doctor', '--json'], env);
    assert.equal(stderr, '');
    const said = JSON.parse(stdout) as { ok: boolean; problems: number; findings: Finding[] };
    assert.deepEqual([said.ok, said.problems > 0], [code === 0, code === 1]);
    for (const { level, advice, finding } of said.findings) {
      if (level !== 'ok') assert.notEqual(advice, '', `says what to do about: ${finding}`);
    }
    assert.doesNotMatch(stdout, new RegExp(stack.simulator.clientSecret), 'no secret is shown');
    const findings = said.findings.filter(({ finding }) => !/; not a Microsoft host: [^;]+$/.test(finding));
    return { code, findings, levels: findings.map(({ check, level }) => `${check} ${level}`) };
  }

  /** The one finding of a check at a level. */
  function find({ findings }: Examined, check: string, level: Level): Finding {
    const [found, ...others] = findings.filter(
      (finding) => finding.check === check && finding.level === level,
    );
    assert.ok(found && others.length === 0, JSON.stringify(findings, null, 2));
    return found;
  }

  function calls(operation: string) {
    return stack.simulator.calls(seen).filter((call) => call.operation === operation);
  }

  const ALL_WELL = [
    'settings ok',
    'limits ok',
    'redis ok',
    'redis ok',
    'redis ok',
    'sign-in ok',
    'permissions ok',
    'permissions ok',
    'api ok',
  ];

  it('finds nothing where all is well, and makes a single Get within its budget', async () => {
    const examined = await examine();
    assert.deepEqual([examined.code, examined.levels], [0, ALL_WELL]);
    assert.match(find(examined, 'api', 'ok').meaning, /404/);
    assert.deepEqual([calls('get').length, calls('cancel').length, calls('list').length], [1, 0, 0]);
    assert.equal(await stack.redis.zcard(tenant.keys.slots('get')), 1, 'its slot was taken and kept');
  });

  it('says that a service numbered an entry of the inbox itself, as long as no worker has mended that', async () => {
    await stack.redis.call('XADD', tenant.keys.inbox, GREATEST_ID, 'machineActionId', 'x');
    const examined = await examine();
    assert.equal(examined.code, 0);
    const { finding, advice } = find(examined, 'redis', 'warning');
    assert.match(finding, /^The last id of the inbox, 18446744073709551615-18446744073709551615, is far in/);
    assert.match(advice, /^Start a worker/);
  });

  it('makes no Get that would be one too many', async () => {
    const { redis } = stack;
    const now = Date.now();
    const slots = Array.from({ length: 100 }, (_, index) => [now, `${index + 1}`]).flat();
    await redis.zadd(tenant.keys.slots('get'), ...slots);
    const examined = await examine();
    assert.deepEqual([examined.code, examined.levels], [0, ALL_WELL]);
    assert.match(find(examined, 'api', 'ok').meaning, /^While reading is blocked/);
    assert.equal(calls('get').length, 0);
  });

  it('waits for the grace of a Redis that is new to it, and asks', async () => {
    const env = { ...stack.env, STANDDOWN_TENANT: newLabel() };
    const { code, stdout } = await runCommand(['doctor', '--json'], { env, timings: SHORT });
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    const api = findings.find(({ check }) => check === 'api');
    assert.match(api?.meaning ?? '', /404/, stdout);
    assert.deepEqual([code, calls('get').length], [0, 1]);
  });

  it('says that the proxy cannot be used; what only looks at Redis does without', async () => {
    const env = { HTTPS_PROXY: 'socks5://me:open-sesame@proxy:1080', AZURE_TENANT: 'x' };
    const doctor = await run(['doctor', '--json'], env);
    assert.match(doctor.stdout, /SOCKS proxies are not supported/);
    assert.deepEqual([doctor.code, calls('token').length], [1, 0]);
    const [status, select] = await Promise.all([
      run(['status'], env),
      run(['select', '--where', 'status=Pending'], env),
    ]);
    assert.deepEqual([status.code, select.code], [0, 2]);
    assert.match(select.stderr, /^standdown: HTTPS_PROXY: SOCKS proxies are not supported/m);
    assert.doesNotMatch(doctor.stdout + select.stderr, /a bug|open-sesame/);
    const named = await run(['status'], { DEFENDER_URL: 'x' });
    assert.match(named.stderr, /DEFENDER_URL is not a setting and is ignored; did you mean DEFENDER_API_URL/);
  });

  describe('signing in:', () => {
    const REFUSED: [what: string, env: Env, finding: RegExp, meaning: RegExp][] = [
      [
        'a wrong secret',
        { AZURE_CLIENT_SECRET: 'not-the-right-one' },
        /AADSTS7000215\): Invalid client secret/,
        /secret/,
      ],
      [
        'an unknown application',
        { AZURE_CLIENT_ID: 'c0ffee' },
        /AADSTS700016\): Application/,
        /does not have this application/,
      ],
      [
        'an unknown tenant',
        { AZURE_TENANT_ID: 'c0ffee.example' },
        /endpoints_resolution_error/,
        /tenant does not exist/,
      ],
      [
        'a scope of nothing known',
        { DEFENDER_SCOPE: 'https://x.example/.default' },
        /AADSTS500011/,
        /does not have the API of this scope/,
      ],
      ['a scope of another kind', { DEFENDER_SCOPE: 'https://x.example/read' }, /AADSTS1002012/, /scope/],
      [
        'nobody there',
        { AZURE_AUTHORITY_HOST: 'https://127.0.0.1:1' },
        /network_error.*ECONNREFUSED/,
        /is unreachable/,
      ],
      [
        'a certificate that is not there',
        { AZURE_CLIENT_SECRET: '', AZURE_CLIENT_CERTIFICATE_PATH: '/nowhere.pem' },
        /credential_unreadable.*ENOENT/,
        /cannot be used/,
      ],
    ];
    for (const [what, env, finding, meaning] of REFUSED) {
      it(what, async () => {
        const examined = await examine(env);
        assert.equal(examined.code, 1);
        const problem = find(examined, 'sign-in', 'problem');
        assert.match(problem.finding, finding);
        assert.match(problem.meaning, meaning);
        assert.match(
          find(examined, 'api', 'ok').meaning,
          /^Without a token/,
          'the API is looked at all the same',
        );
      });
    }

    it('a service that hangs, or answers with a page', async () => {
      stack.simulator.setFaults([{ operation: 'token', fault: { kind: 'hang' } }]);
      assert.match(
        find(await examine({ CALL_TIMEOUT: '300ms' }), 'sign-in', 'problem').finding,
        /request_timeout/,
      );
      stack.simulator.setFaults([{ operation: 'token', fault: { kind: 'html', status: 502 } }]);
      assert.match(find(await examine(), 'sign-in', 'problem').finding, /unreadable_answer/);
    });
  });

  describe('permissions:', () => {
    it('none at all', async () => {
      stack.simulator.setRoles([]);
      const examined = await examine();
      assert.equal(examined.code, 1);
      assert.match(
        find(examined, 'permissions', 'problem').advice,
        /^Grant one of Machine.CollectForensics, Machine.Isolate/,
      );
      assert.equal(find(examined, 'permissions', 'warning').finding, 'No permission to read machine actions');
    });

    it('only to read', async () => {
      stack.simulator.setRoles(['Machine.Read.All']);
      const examined = await examine();
      assert.equal(examined.code, 1);
      assert.match(
        find(examined, 'permissions', 'problem').finding,
        /^The token has Machine\.Read\.All only: no permission to cancel$/,
      );
      assert.equal(calls('get').length, 1);
    });

    it('only to cancel is enough; then nothing is asked of the API', async () => {
      stack.simulator.setRoles(['Machine.Isolate']);
      const examined = await examine();
      assert.equal(examined.code, 0);
      assert.match(find(examined, 'permissions', 'warning').meaning, /select/);
      assert.match(find(examined, 'permissions', 'ok').meaning, /match the type of the action/);
      assert.match(find(examined, 'api', 'ok').meaning, /^Without a permission to read/);
      assert.equal(calls('get').length, 0);
    });
  });

  describe('the API:', () => {
    const ANSWERS: [what: string, fault: Fault, level: Level, finding: RegExp][] = [
      [
        'refuses the token',
        { kind: 'status', status: 401, code: 'Unauthorized' },
        'problem',
        /rejects the token: 401/,
      ],
      [
        'refuses the Get',
        { kind: 'status', status: 403, code: 'Forbidden' },
        'warning',
        /refuses to read a machine action: 403: Forbidden/,
      ],
      [
        'is in trouble',
        { kind: 'status', status: 500, code: 'InternalServerError' },
        'problem',
        /is unavailable: 500/,
      ],
      ['is a gateway with a page', { kind: 'html', status: 502 }, 'problem', /is unavailable: 502/],
      [
        'gives no reason',
        { kind: 'html', status: 403, body: '' },
        'problem',
        /does not answer like the Defender API: 403/,
      ],
      [
        'answers nonsense',
        { kind: 'status', status: 400, code: 'BadRequest' },
        'warning',
        /gave an unexpected answer/,
      ],
      ['hangs up', { kind: 'reset', when: 'before' }, 'problem', /is unreachable/],
      ['hangs', { kind: 'hang' }, 'problem', /is unreachable: TIMEOUT/],
    ];
    for (const [what, fault, level, finding] of ANSWERS) {
      it(what, async () => {
        stack.simulator.setFaults([{ operation: 'get', fault }]);
        // Only what is to run out is short.
        const examined = await examine(fault.kind === 'hang' ? { CALL_TIMEOUT: '500ms' } : {});
        assert.equal(examined.code, level === 'problem' ? 1 : 0);
        assert.match(find(examined, 'api', level).finding, finding);
      });
    }

    for (const body of ['', '{"statusCode":404,"message":"Resource not found"}', '<html>']) {
      it(`is something else, which answers 404 with "${body}"`, async () => {
        const fault: Fault = { kind: 'html', status: 404, body };
        stack.simulator.setFaults([{ operation: 'get', fault }]);
        assert.match(find(await examine(), 'api', 'ok').meaning, /It lists machine actions/);
        stack.simulator.setFaults([{ fault }]);
        const examined = await examine();
        assert.equal(examined.code, 1);
        const { finding, advice } = find(examined, 'api', 'problem');
        assert.match(finding, /does not answer like the Defender API: 404: NO_REASON/);
        assert.match(advice, /DEFENDER_API_URL/);
      });
    }

    it('is found where its address ends in what each call adds anyway', async () => {
      const examined = await examine({ DEFENDER_API_URL: `${stack.simulator.apiUrl}/api/v1.0/` });
      assert.match(find(examined, 'api', 'ok').meaning, /404/);
      assert.ok(
        examined.findings.some(({ finding }) =>
          finding.startsWith('Ignoring /api/v1.0 at the end of DEFENDER_API_URL'),
        ),
      );
    });

    it('asks to wait: then everybody waits', async () => {
      stack.simulator.setFaults([
        { operation: 'get', fault: { kind: 'status', status: 429, retryAfter: 30 } },
      ]);
      const before = Date.now();
      const examined = await examine();
      assert.equal(examined.code, 0);
      assert.match(find(examined, 'api', 'warning').finding, /asks to wait 30 s/);
      const penalty = Number(await stack.redis.hget(tenant.keys.state, 'get:penalty'));
      assert.ok(penalty > before + 29_000, 'the budget knows of it');
      assert.equal(await stack.redis.hget(tenant.keys.state, 'cancel:penalty'), null);
    });

    it('is not there', async () => {
      const examined = await examine({ DEFENDER_API_URL: 'http://127.0.0.1:1' });
      assert.equal(examined.code, 1);
      assert.match(find(examined, 'api', 'problem').finding, /is unreachable: connect ECONNREFUSED/);
    });
  });

  describe('Redis:', () => {
    it('is away: the rest is looked at all the same, and no uncounted Get is made', async () => {
      const examined = await examine({ REDIS_URL: 'redis://127.0.0.1:1' });
      assert.equal(examined.code, 1);
      const problem = find(examined, 'redis', 'problem');
      assert.match(
        problem.finding,
        /^Cannot use Redis at redis:\/\/127\.0\.0\.1:1\/0: nothing is listening there/,
      );
      assert.equal(problem.advice, 'Start Redis, or correct REDIS_URL.');
      assert.match(find(examined, 'api', 'ok').meaning, /^Without Redis/);
      assert.equal(calls('get').length, 0);
    });

    it('has an address that is none', async () => {
      const examined = await examine({ REDIS_URL: 'redis://:hunter2%@host' });
      assert.match(find(examined, 'redis', 'problem').finding, /^REDIS_URL: /);
    });

    it('does not let its user run scripts by their hash', async (t) => {
      const { port, admin } = await startRedis(t, { folder: testFolder(t), args: ['--appendonly', 'yes'] });
      await admin.call('ACL', 'SETUSER', 'me', 'on', '>open-sesame', '~*', '&*', '+@all', '-evalsha');
      const examined = await examine({ REDIS_URL: `redis://me:open-sesame@127.0.0.1:${port}` });
      assert.equal(examined.code, 1);
      assert.match(find(examined, 'redis', 'problem').finding, /lacks a permission \(NOPERM\)/);
    });

    it('closes the connection instead of answering: that is named, and is no bug', async (t) => {
      const args = ['--client-output-buffer-limit', 'normal 2kb 1kb 1'];
      const { url, admin } = await startRedis(t, { folder: testFolder(t), args });
      await admin.hset(tenant.keys.campaigns, 'x'.repeat(300_000), 1);
      const { code, stderr } = await run(['list'], { REDIS_URL: url });
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^standdown: cannot use Redis at redis:.*instead of answering; raise "client-output/m,
      );
      assert.doesNotMatch(stderr, /a bug/);
    });

    it('keeps nothing, may evict, or is a replica', async (t) => {
      const { url, admin } = await startRedis(t, { folder: testFolder(t) });
      const warned = await examine({ REDIS_URL: url });
      assert.equal(warned.code, 0);
      const warning = find(warned, 'redis', 'warning');
      assert.match(warning.finding, /saves nothing to disk/);
      assert.equal(warning.advice, 'Set "appendonly yes" in its configuration.');
      await admin.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'allkeys-lru');
      const refused = await examine({ REDIS_URL: url });
      assert.equal(refused.code, 1);
      assert.match(find(refused, 'redis', 'problem').finding, /may evict data/);
      await admin.config('SET', 'maxmemory-policy', 'noeviction');
      await admin.replicaof('127.0.0.1', '1');
      const replica = await examine({ REDIS_URL: url });
      assert.match(find(replica, 'redis', 'problem').advice, /^Point REDIS_URL at its master/);
      assert.match(find(replica, 'api', 'ok').meaning, /^Without Redis/);
    });
  });

  describe('settings:', () => {
    it('lists every mistake, and looks no further', async () => {
      const { code, levels, findings } = await examine({
        RATE_LIMITS: 'many',
        CONCURRENCY: '0',
        PRECHECK: 'no',
      });
      assert.equal(code, 1);
      assert.deepEqual(levels, Array(3).fill('settings problem'));
      assert.deepEqual(findings.map(({ finding }) => finding.split(':')[0]).sort(), [
        'CONCURRENCY',
        'PRECHECK',
        'RATE_LIMITS',
      ]);
      assert.equal(stack.simulator.calls().length, seen);
    });

    it('says what is missing to sign in', async () => {
      const examined = await examine({ AZURE_CLIENT_ID: '', AZURE_CLIENT_SECRET: '' });
      assert.equal(examined.code, 1);
      const { finding } = find(examined, 'settings', 'problem');
      assert.match(
        finding,
        /missing: AZURE_CLIENT_ID, AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH$/,
      );
    });

    it('says that no tenant is selected', async () => {
      const examined = await examine({ AZURE_TENANT_ID: '', STANDDOWN_TENANT: '' });
      assert.equal(find(examined, 'settings', 'problem').finding, 'No tenant selected');
    });

    it('warns of limits above the documented ones', async () => {
      const examined = await examine({ RATE_LIMITS: '1000/1m' });
      assert.equal(examined.code, 0);
      assert.match(
        find(examined, 'limits', 'warning').finding,
        /this allows 1000 calls in 1 min, but Microsoft documents a limit of 100$/,
      );
    });
  });

  describe('for people:', () => {
    it('a line for each finding, and what it comes to', async () => {
      const { code, stdout } = await run(['doctor'], { AZURE_CLIENT_SECRET: 'not-the-right-one' });
      assert.equal(code, 1);
      assert.match(stdout, /^ok {7}limits {7}At most 100\/1m,1500\/1h calls of each kind$/m);
      assert.match(
        stdout,
        /^problem {2}sign-in {6}Sign-in failed .*\n {22}The client secret .*\n {22}→ Set /m,
      );
      assert.match(stdout, /\n\nNot ready: 1 problem, 1 warning\n$/);
    });

    for (const columns of [100, 40]) {
      it(`fits a terminal of ${columns} columns`, async () => {
        const { stdout } = await run(['doctor'], {}, columns);
        const tooLong = stdout
          .split('\n')
          .filter((line) => line.length > columns && /\s\S+\s\S+$/.test(line));
        assert.deepEqual(tooLong, []);
        assert.match(stdout, /\n\nReady \(1 warning\)\n$/);
      });
    }
  });
});
