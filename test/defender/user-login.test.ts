import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { viewBudget } from '../../src/budget/view.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import type { PlainSimulatorOptions } from '../../src/simulator/index.ts';
import { type Field, openField } from '../end-to-end/support.ts';
import { type Process, runCli, startCli } from '../support/processes.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorProcess } from '../support/simulator.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';

const LIMITS = '100/1m,1500/1h';
const USER = { id: '5d0e8c5a-6c1b-4f53-9f43-1b6f0b1f7a10', name: 'anna@contoso.example' };
const OPTIONS: Omit<PlainSimulatorOptions, 'dir'> = { user: USER, deviceLogin: { intervalSeconds: 1 } };

function refreshTokensIn(text: string): string[] {
  const { RefreshToken } = JSON.parse(text) as { RefreshToken: Record<string, { secret: string }> };
  return Object.values(RefreshToken).map(({ secret }) => secret);
}

describe('a user who logs in', { concurrency: false }, () => {
  let server: TestRedis;
  let simulator: SimulatorProcess;
  let dataDir: string;

  before(async () => {
    server = await openTestRedis();
    // It would end with its last client.
    await server.connect();
    simulator = await startSimulatorProcess(LIMITS, OPTIONS);
  });
  beforeEach(async () => {
    dataDir = await mkdtemp(join(TEST_DIR, 'login-'));
  });
  afterEach(async () => {
    await simulator.setFaults([]);
    await rm(dataDir, { recursive: true, force: true });
  });
  after(async () => {
    await simulator.stop();
    await server.close();
  });

  function settings(of: SimulatorProcess = simulator): Record<string, string> {
    const { AZURE_CLIENT_SECRET: _, ...rest } = of.settings;
    const own = { AZURE_LOGIN: 'device-code', STANDDOWN_DATA_DIR: dataDir, REDIS_URL: server.url };
    return { ...rest, ...own, CALL_TIMEOUT: '5s', LOG_LEVEL: 'trace' };
  }

  /** Begins to log in, up to the code. */
  async function begin(of = simulator, env: Record<string, string> = {}) {
    const seen = (await of.calls()).length;
    const process = startCli(['login'], { env: { ...settings(of), ...env }, timings: SHORT });
    const line = await process.line();
    const code =
      /^Open https:\/\/localhost:\d+\/device on any device, and enter the code ([A-Z0-9]{9})$/.exec(line);
    assert.ok(code?.[1], line);
    return { process, userCode: code[1], polls: async () => (await of.calls(seen)).filter(isPoll) };
  }

  async function logIn(of = simulator): Promise<void> {
    const { process, userCode } = await begin(of);
    await of.decideLogin(userCode, 'approved');
    assert.equal(await process.exited, 0, process.stderr);
  }

  const isPoll = ({ path }: { path: string }) => /\/oauth2\/v2\.0\/token(\?|$)/.test(path);

  async function loginFile(): Promise<string> {
    const names = await readdir(join(dataDir, 'logins'));
    const [name, ...others] = names.filter((one) => !one.endsWith('.lock'));
    assert.ok(name && others.length === 0, `${names}`);
    return join(dataDir, 'logins', name);
  }

  async function examine(env: Record<string, string> = {}) {
    const { code, stdout } = await runCli(['doctor', '--json'], { env: { ...settings(), ...env } });
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    const of = (check: string) => findings.filter((finding) => finding.check === check);
    return {
      code,
      stdout,
      settings: of('settings'),
      signIn: of('sign-in')[0],
      permissions: of('permissions'),
    };
  }

  it('enters the code, and is who a doctor signs in as; the login is for its owner only', async () => {
    const { process, userCode, polls } = await begin();
    await eventually(async () =>
      assert.ok((await polls()).length >= 2, 'asks again while nothing is decided'),
    );
    assert.equal(
      (await polls()).some(({ verdict }) => verdict === 'served'),
      false,
    );
    await simulator.decideLogin(userCode, 'approved');
    assert.equal(await process.exited, 0);
    assert.match(
      process.stdout,
      /^logged in as anna@contoso\.example: workers sign in with this from now on$/m,
    );
    assert.equal(process.stderr, '', 'nothing for a log');
    const path = await loginFile();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(join(dataDir, 'logins'))).mode & 0o777, 0o700);
    const asked = (await polls()).length;
    const { code, stdout, settings: shown, signIn, permissions } = await examine();
    assert.equal(code, 0);
    assert.equal((await polls()).length, asked, 'the token that came with the login is still good');
    assert.match(shown[0]?.finding ?? '', /a user's login \(device code\) to application/);
    assert.match(signIn?.finding ?? '', /there is a token, good for/);
    assert.deepEqual(
      permissions.map(({ level }) => level),
      ['ok', 'ok'],
    );
    for (const secret of refreshTokensIn(await readFile(path, 'utf8'))) assert.ok(!stdout.includes(secret));
  });

  it('gives programs the code as JSON', async () => {
    const process = startCli(['login', '--json'], { env: settings() });
    const prompt = JSON.parse(await process.line()) as Record<string, string>;
    assert.partialDeepStrictEqual(prompt, { event: 'code', lifetimeMs: 900_000 });
    await simulator.decideLogin(prompt['userCode'] ?? '', 'approved');
    assert.partialDeepStrictEqual(JSON.parse(await process.line()), { event: 'logged-in', user: USER.name });
    assert.equal(await process.exited, 0);
  });

  for (const [decision, says] of [
    ['declined', /authorization_declined AADSTS\d+\): the login was declined/],
    ['expired', /expired_token AADSTS\d+\): the code was not entered in time/],
  ] as const) {
    it(`is told when it was ${decision}; nothing is kept`, async () => {
      const { process, userCode } = await begin();
      await simulator.decideLogin(userCode, decision);
      assert.equal(await process.exited, 1);
      assert.match(process.stderr, says);
      assert.match(process.stderr, /Run "standdown login"/);
      assert.deepEqual(await readdir(dataDir), []);
    });
  }

  it('may take its time although answers are lost, refused or say to slow down', async () => {
    const { process, userCode, polls } = await begin();
    await simulator.setFaults([
      { operation: 'token', times: 1, fault: { kind: 'status', status: 400, code: 'slow_down' } },
      { operation: 'token', times: 1, fault: { kind: 'reset', when: 'before' } },
    ]);
    await eventually(async () => assert.equal((await polls()).filter(({ fault }) => fault).length, 2));
    await simulator.decideLogin(userCode, 'approved');
    assert.equal(await process.exited, 0, process.stderr);
    assert.equal((await polls()).at(-1)?.verdict, 'served');
  });

  it('gives up at once when told to stop', async () => {
    const { process, polls } = await begin();
    await eventually(async () => assert.ok((await polls()).length >= 1));
    process.kill('SIGINT');
    assert.equal(await process.exited, 130);
    assert.deepEqual(await readdir(dataDir), []);
  });

  const WRONG: [what: string, env: Record<string, string>, code: number, says: RegExp][] = [
    [
      'another way to sign in beside it',
      { AZURE_CLIENT_SECRET: 'x' },
      2,
      /AZURE_CLIENT_SECRET and AZURE_LOGIN: give only one/,
    ],
    ['another kind of login', { AZURE_LOGIN: 'browser' }, 2, /AZURE_LOGIN: must be device-code/],
    [
      'another way to sign in',
      { AZURE_LOGIN: '', AZURE_CLIENT_SECRET: 'x' },
      2,
      /only with AZURE_LOGIN=device-code/,
    ],
    ['no application', { AZURE_CLIENT_ID: '' }, 2, /to log in, there is missing: AZURE_CLIENT_ID/],
    ['an unknown application', { AZURE_CLIENT_ID: 'c0ffee' }, 1, /AADSTS700016/],
    ['an unknown tenant', { AZURE_TENANT_ID: 'c0ffee.example' }, 1, /no such tenant/],
    ['an unknown API', { DEFENDER_SCOPE: 'https://x.example/.default' }, 1, /AADSTS500011/],
    ['nobody there', { AZURE_AUTHORITY_HOST: 'https://127.0.0.1:1' }, 1, /ECONNREFUSED/],
  ];
  for (const [what, env, code, says] of WRONG) {
    it(`with ${what} is told so (exit code ${code})`, async () => {
      const ran = await runCli(['login'], { env: { ...settings(), ...env } });
      assert.deepEqual([ran.code, ran.stdout], [code, '']);
      assert.match(ran.stderr, says);
      assert.doesNotMatch(ran.stderr, /a bug/);
    });
  }

  it('of an application that is not for users is told where that is allowed', async () => {
    const confidential = await startSimulatorProcess(LIMITS, { ...OPTIONS, isPublicClient: false });
    try {
      const { process } = await begin(confidential);
      assert.equal(await process.exited, 1);
      assert.match(process.stderr, /AADSTS7000218|invalid_client/);
      assert.match(process.stderr, /Allow public client flows/);
    } finally {
      await confidential.stop();
    }
  });

  it('logs out, and is nobody then', async () => {
    await logIn();
    // As one that was killed while it wrote leaves it.
    await writeFile(`${await loginFile()}.part`, 'half of a login');
    const first = await runCli(['logout'], { env: settings() });
    assert.deepEqual([first.code, first.stderr], [0, '']);
    assert.match(first.stdout, /^logged out: \S+\.json is gone\n$/);
    assert.deepEqual(
      (await readdir(join(dataDir, 'logins'))).filter((name) => !name.endsWith('.lock')),
      [],
    );
    const again = await runCli(['logout'], { env: settings() });
    assert.deepEqual([again.code, again.stdout], [0, 'nobody was logged in\n']);
    const { code, signIn } = await examine();
    assert.equal(code, 1);
    assert.match(
      signIn?.finding ?? '',
      /^no token \(login_needed\): nobody is logged in: run "standdown login"$/,
    );
  });

  it('has a login that others can read, or that is damaged: the doctor says so', async () => {
    await logIn();
    const path = await loginFile();
    await chmod(path, 0o644);
    const exposed = (await examine()).settings.find(
      ({ level, finding }) => level === 'warning' && /others may read/.test(finding),
    );
    assert.match(exposed?.finding ?? '', /others may read the login in \S+\.json \(mode 644\)/);
    assert.match(exposed?.advice ?? '', /^chmod 600 .*revoke the user's sessions/);
    for (const text of ['', '{', '{"Account":{}}', 'null']) {
      await writeFile(path, text);
      const { code, signIn } = await examine();
      assert.equal(code, 1);
      assert.match(signIn?.finding ?? '', /^no token \(login_needed\): .*run "standdown login"/, text);
    }
  });

  it('whose refresh token is repeated by an error shows it nowhere', async () => {
    const short = await startSimulatorProcess(LIMITS, { ...OPTIONS, tokenLifetimeMs: 2_000 });
    try {
      await logIn(short);
      const [secret] = refreshTokensIn(await readFile(await loginFile(), 'utf8'));
      assert.ok(secret);
      const message = `AADSTS70000: The grant ${secret} is malformed`;
      await short.setFaults([
        { operation: 'token', fault: { kind: 'status', status: 400, code: 'invalid_grant', message } },
      ]);
      const { signIn, stdout } = await examine(settings(short));
      assert.match(signIn?.finding ?? '', /AADSTS70000: The grant \[secret\] is malformed: the login/);
      assert.ok(!stdout.includes(secret));
    } finally {
      await short.stop();
    }
  });

  for (const [how, number] of [
    ['expired', 'AADSTS700082'],
    ['revoked', 'AADSTS50173'],
  ] as const) {
    it(`whose login was ${how} has to log in again`, async () => {
      const short = await startSimulatorProcess(LIMITS, { ...OPTIONS, tokenLifetimeMs: 2_000 });
      try {
        await logIn(short);
        await short.endLogins(how);
        const { code, signIn } = await examine(settings(short));
        assert.equal(code, 1);
        assert.match(
          signIn?.finding ?? '',
          new RegExp(`login_needed ${number}.*run "standdown login" again`),
        );
        assert.equal(signIn?.advice, 'Run "standdown login".');
      } finally {
        await short.stop();
      }
    });
  }

  it('lends what it may itself: what is missing is a delegated permission', async () => {
    await simulator.setRoles(['Machine.Isolate']);
    try {
      const { process, userCode } = await begin();
      await simulator.decideLogin(userCode, 'approved');
      assert.equal(await process.exited, 0);
      assert.match(
        process.stdout,
        /^warning: may not read machine actions\. .*add Machine\.Read or Machine\.ReadWrite \(.*delegated permissions/m,
      );
      const select = await runCli(['select', '--where', 'status=Pending'], {
        env: { ...settings(), STANDDOWN_TENANT: 'delegated' },
      });
      assert.equal(select.code, 1);
      assert.match(
        select.stderr,
        /carries Machine\.Isolate; missing is Machine\.Read or Machine\.ReadWrite$/m,
      );
    } finally {
      await simulator.setRoles(['Machine.Isolate', 'Machine.Read.All']);
    }
    await logIn();
    assert.deepEqual(
      (await examine()).permissions.map(({ finding }) => finding),
      ['may cancel: Machine.Isolate', 'may read machine actions'],
    );
  });

  describe('and workers', () => {
    let field: Field;

    async function open(ids: number, tokenLifetimeMs = 4_000): Promise<void> {
      field = await openField(server, {
        limits: '20/1s,100000/1h',
        ids,
        // Entra and msal count in whole seconds: a shorter one may end before it is renewed.
        simulator: { ...OPTIONS, tokenLifetimeMs },
        env: { AZURE_CLIENT_SECRET: '' },
      });
    }

    const startWorker = (): Process => {
      const { RATE_LIMITS: _, ...rest } = settings(field.simulator);
      return field.startWorker({ ...rest, AZURE_CLIENT_SECRET: '' });
    };

    async function signInHold() {
      const { redis, tenant } = field;
      const { holds } = await viewBudget(redis, tenant.keys, tenant.config.limits);
      return holds.find(({ reason }) => reason === 'sign-in');
    }

    it('share one login: each refresh token is used once, by one of them', async (t) => {
      await open(180);
      try {
        await logIn(field.simulator);
        // What is sent is rotated out: it does not stand there any more at the end.
        const first = refreshTokensIn(await readFile(await loginFile(), 'utf8'));
        const seen = (await field.simulator.calls()).length;
        const workers = [startWorker(), startWorker(), startWorker()];
        await field.untilDone();
        for (const { outcome, attempts } of (await field.assertComplete()).values())
          assert.deepEqual([outcome, attempts], ['cancelled', 1]);
        const tokens = (await field.simulator.calls(seen)).filter(isPoll);
        assert.deepEqual(
          tokens.filter(({ verdict }) => verdict !== 'served'),
          [],
        );
        t.diagnostic(`${tokens.length} token requests of three workers`);
        assert.ok(tokens.length > 6);
        assert.equal(await signInHold(), undefined);
        const secrets = refreshTokensIn(await readFile(await loginFile(), 'utf8'));
        assert.equal(secrets.length, 1, 'those before it are not kept');
        for (const { stderr } of workers) {
          assert.ok(
            ![...first, ...secrets].some((secret) => stderr.includes(secret)) && !stderr.includes('eyJ'),
            'no token',
          );
          assert.ok(stderr.includes("a user's login (device code)"));
        }
        assert.equal((await stat(await loginFile())).mode & 0o777, 0o600);
      } finally {
        await field.close();
      }
    });

    it('go on where the login cannot be written, and write it when it can be', async () => {
      await open(300);
      try {
        await logIn(field.simulator);
        const file = await loginFile();
        const before = await readFile(file, 'utf8');
        // What is not empty is not removed to make way.
        await mkdir(join(`${file}.part`, 'in the way'), { recursive: true });
        const worker = startWorker();
        const unkept = () => worker.stderr.split('the login is kept in memory for now').length - 1;
        // Each refresh token is good once: the second is of memory.
        await eventually(() => assert.ok(unkept() >= 3, worker.stderr));
        assert.match(worker.stderr, /the login cannot be kept in .*\.part/);
        assert.equal(await readFile(file, 'utf8'), before);
        await rm(`${file}.part`, { recursive: true });
        await eventually(async () => assert.notEqual(await readFile(file, 'utf8'), before));
        await field.untilDone();
        for (const { outcome, attempts } of (await field.assertComplete()).values())
          assert.deepEqual([outcome, attempts], ['cancelled', 1]);
        assert.equal(await signInHold(), undefined);
        for (const secret of refreshTokensIn(await readFile(file, 'utf8')))
          assert.ok(!worker.stderr.includes(secret));
      } finally {
        await field.close();
      }
    });

    it('get another token, once for all of them, when the API refuses the one they share', async () => {
      await open(100, 3_600_000);
      try {
        await logIn(field.simulator);
        const seen = (await field.simulator.calls()).length;
        startWorker();
        startWorker();
        await eventually(async () => assert.ok((await field.campaign()).open < 85));
        assert.equal((await field.simulator.calls(seen)).filter(isPoll).length, 0);
        await field.simulator.revokeTokens();
        await field.untilDone();
        for (const { outcome } of (await field.assertComplete()).values()) assert.equal(outcome, 'cancelled');
        assert.equal((await field.simulator.calls(seen)).filter(isPoll).length, 1);
      } finally {
        await field.close();
      }
    });

    it('hold when the login is revoked, say what to do, and go on when somebody has logged in', async () => {
      await open(180);
      try {
        await logIn(field.simulator);
        const first = refreshTokensIn(await readFile(await loginFile(), 'utf8'));
        const worker = startWorker();
        await eventually(async () => assert.ok((await field.campaign()).open < 165));
        await field.simulator.endLogins('revoked');
        await eventually(async () =>
          assert.match(
            (await signInHold())?.detail ?? '',
            /AADSTS50173.*: the login does not hold any more; run "standdown login" again/,
          ),
        );
        const held = (await field.campaign()).open;
        assert.ok(held > 0);
        await logIn(field.simulator);
        await field.untilDone(90_000);
        for (const { outcome, attempts } of (await field.assertComplete()).values())
          assert.deepEqual([outcome, attempts], ['cancelled', 1]);
        assert.ok(![...first, 'eyJ'].some((secret) => worker.stderr.includes(secret)), 'no token in the log');
      } finally {
        await field.close();
      }
    });
  });
});
