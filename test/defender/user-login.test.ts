import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { readConfig } from '../../src/config/config.ts';
import { TIMINGS } from '../../src/config/timings.ts';
import { createDispatcher } from '../../src/defender/client.ts';
import { type LoginPrompt, logIn } from '../../src/defender/device-code.ts';
import { createSignInWay } from '../../src/defender/sign-in-way.ts';
import type { Finding } from '../../src/ops/doctor/finding.ts';
import type { PlainSimulatorOptions } from '../../src/simulator/index.ts';
import { viewBudget } from '../../src/store/budget/view.ts';
import type { ReportLine } from '../../src/store/campaign/report.ts';
import { runCommand, startCommand } from '../support/command.ts';
import { recount } from '../support/ledger.ts';
import { type Process, startCli } from '../support/processes.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { type LocalSimulator, startLocalSimulator } from '../support/simulator.ts';
import { keepingLog, openStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const LIMITS = '100/1m,1500/1h';
const USER = { id: '5d0e8c5a-6c1b-4f53-9f43-1b6f0b1f7a10', name: 'anna@contoso.example' };
const OPTIONS: Omit<PlainSimulatorOptions, 'dir'> = { user: USER, deviceLogin: { intervalSeconds: 1 } };

type LoginPlace = Pick<LocalSimulator, 'settings' | 'calls' | 'decideLogin'>;

function refreshTokensIn(text: string): string[] {
  const { RefreshToken } = JSON.parse(text) as { RefreshToken: Record<string, { secret: string }> };
  return Object.values(RefreshToken).map(({ secret }) => secret);
}

describe('a user who logs in', { concurrency: false }, () => {
  let server: TestRedis;
  let simulator: LocalSimulator;
  let dataDir: string;

  before(async () => {
    server = await openTestRedis();
    // It would end with its last client.
    await server.connect();
    simulator = await startLocalSimulator(LIMITS, OPTIONS);
  });
  beforeEach(async () => {
    dataDir = await mkdtemp(join(TEST_DIR, 'login-'));
  });
  afterEach(async () => {
    simulator.setFaults([]);
    await rm(dataDir, { recursive: true, force: true });
  });
  after(async () => {
    await simulator.stop();
    await server.close();
  });

  function settings(of: LoginPlace = simulator): Record<string, string> {
    const { AZURE_CLIENT_SECRET: _, ...rest } = of.settings;
    const own = { AZURE_LOGIN: 'device-code', REDIS_URL: server.url };
    return { STANDDOWN_DATA_DIR: dataDir, ...rest, ...own, CALL_TIMEOUT: '5s', LOG_LEVEL: 'trace' };
  }

  /** Begins to log in, up to the code. */
  async function begin(of: LoginPlace = simulator) {
    const seen = of.calls().length;
    const command = startCommand(['login'], { env: settings(of) });
    const line = await command.line();
    const code = /^Open https:\/\/localhost:\d+\/device on any device and enter the code ([A-Z0-9]{9})$/.exec(
      line,
    );
    assert.ok(code?.[1], line);
    return { command, userCode: code[1], polls: () => of.calls(seen).filter(isPoll) };
  }

  async function completeLogin(of: LoginPlace = simulator): Promise<void> {
    const { command, userCode } = await begin(of);
    of.decideLogin(userCode, 'approved');
    assert.equal(await command.exited, 0, command.stderr);
  }

  const isPoll = ({ path }: { path: string }) => /\/oauth2\/v2\.0\/token(\?|$)/.test(path);

  async function loginFile(dir = dataDir): Promise<string> {
    const names = await readdir(join(dir, 'logins'));
    // Whoever renews it writes a part first.
    const [name, ...others] = names.filter((one) => !/\.(lock|part)$/.test(one));
    assert.ok(name && others.length === 0, `${names}`);
    return join(dir, 'logins', name);
  }

  async function examine(env: Record<string, string> = {}) {
    const { code, stdout } = await runCommand(['doctor', '--json'], { env: { ...settings(), ...env } });
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
    const { command, userCode, polls } = await begin();
    await eventually(async () => assert.ok(polls().length >= 2, 'asks again while nothing is decided'));
    assert.equal(
      polls().some(({ verdict }) => verdict === 'served'),
      false,
    );
    simulator.decideLogin(userCode, 'approved');
    assert.equal(await command.exited, 0);
    assert.match(
      command.stdout,
      /^Logged in as anna@contoso\.example\. Workers sign in as this user from now on\.$/m,
    );
    assert.equal(command.stderr, '', 'nothing for a log');
    const path = await loginFile();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(join(dataDir, 'logins'))).mode & 0o777, 0o700);
    const asked = polls().length;
    const { code, stdout, settings: shown, signIn, permissions } = await examine();
    assert.equal(code, 0);
    assert.equal(polls().length, asked, 'the token that came with the login is still good');
    assert.match(shown[0]?.finding ?? '', /a user's login \(device code\) to application/);
    assert.match(signIn?.finding ?? '', /^Signed in; the token is valid for/);
    assert.deepEqual(
      permissions.map(({ level }) => level),
      ['ok', 'ok'],
    );
    for (const secret of refreshTokensIn(await readFile(path, 'utf8'))) assert.ok(!stdout.includes(secret));
  });

  it('gives programs the code as JSON', async () => {
    const command = startCommand(['login', '--json'], { env: settings() });
    const prompt = JSON.parse(await command.line()) as Record<string, string>;
    assert.partialDeepStrictEqual(prompt, { event: 'code', lifetimeMs: 900_000 });
    simulator.decideLogin(prompt['userCode'] ?? '', 'approved');
    assert.partialDeepStrictEqual(JSON.parse(await command.line()), { event: 'logged-in', user: USER.name });
    assert.equal(await command.exited, 0);
  });

  for (const [decision, says] of [
    ['declined', /authorization_declined AADSTS\d+\): the login was declined/],
    ['expired', /expired_token AADSTS\d+\): the code was not entered in time/],
  ] as const) {
    it(`is told when it was ${decision}; nothing is kept`, async () => {
      const { command, userCode } = await begin();
      simulator.decideLogin(userCode, decision);
      assert.equal(await command.exited, 1);
      assert.match(command.stderr, says);
      assert.match(command.stderr, /Run "standdown login"/);
      assert.deepEqual(await readdir(dataDir), []);
    });
  }

  it('may take its time although answers are lost, refused or say to slow down', async () => {
    const config = readConfig(settings());
    assert.ok(config.signIn?.credential.kind === 'login' && config.signIn.tenantId !== null);
    const { tenantId, credential } = config.signIn;
    const seen = simulator.calls().length;
    const slept: number[] = [];
    const clock: Clock = { ...systemClock, sleep: async (ms) => void slept.push(ms) };
    const dispatcher = createDispatcher({ connections: 1, ...config });
    const prompt = Promise.withResolvers<LoginPrompt>();
    const deps = { dispatcher, clock, timings: TIMINGS, timeoutMs: config.callTimeoutMs };
    try {
      const loggedIn = logIn({
        ...deps,
        config: { ...config.signIn, tenantId },
        path: credential.path,
        way: createSignInWay(deps),
        signal: new AbortController().signal,
        onPrompt: prompt.resolve,
      });
      const { userCode } = await prompt.promise;
      simulator.setFaults([
        { operation: 'token', times: 1, fault: { kind: 'status', status: 400, code: 'slow_down' } },
        { operation: 'token', times: 1, fault: { kind: 'reset', when: 'before' } },
      ]);
      // Two faults, and a question after them.
      await eventually(() => assert.ok(simulator.calls(seen).filter(isPoll).length >= 3));
      simulator.decideLogin(userCode, 'approved');
      assert.equal((await loggedIn).user, USER.name);
    } finally {
      await dispatcher.destroy();
    }
    const [first, ...others] = slept;
    assert.equal(first, 5_000);
    assert.deepEqual(new Set(others), new Set([10_000]));
  });

  it('gives up at once when told to stop', async () => {
    const seen = simulator.calls().length;
    const child = startCli(['login'], { env: settings() });
    await child.line();
    await eventually(() => assert.ok(simulator.calls(seen).some(isPoll)));
    child.kill('SIGINT');
    assert.equal(await child.exited, 130);
    assert.deepEqual(await readdir(dataDir), []);
  });

  const WRONG: [what: string, env: Record<string, string>, code: number, says: RegExp][] = [
    [
      'another way to sign in beside it',
      { AZURE_CLIENT_SECRET: 'x' },
      2,
      /AZURE_CLIENT_SECRET and AZURE_LOGIN: set only one of them/,
    ],
    ['another kind of login', { AZURE_LOGIN: 'browser' }, 2, /AZURE_LOGIN: must be device-code/],
    [
      'another way to sign in',
      { AZURE_LOGIN: '', AZURE_CLIENT_SECRET: 'x' },
      2,
      /login and logout require AZURE_LOGIN=device-code/,
    ],
    ['no application', { AZURE_CLIENT_ID: '' }, 2, /cannot log in; missing: AZURE_CLIENT_ID/],
    ['an unknown application', { AZURE_CLIENT_ID: 'c0ffee' }, 1, /AADSTS700016/],
    [
      'an unknown tenant',
      { AZURE_TENANT_ID: 'c0ffee.example' },
      1,
      /The tenant does not exist, or the address/,
    ],
    ['an unknown API', { DEFENDER_SCOPE: 'https://x.example/.default' }, 1, /AADSTS500011/],
    ['nobody there', { AZURE_AUTHORITY_HOST: 'https://127.0.0.1:1' }, 1, /ECONNREFUSED/],
  ];
  for (const [what, env, code, says] of WRONG) {
    it(`with ${what} is told so (exit code ${code})`, async () => {
      const ran = await runCommand(['login'], { env: { ...settings(), ...env } });
      assert.deepEqual([ran.code, ran.stdout], [code, '']);
      assert.match(ran.stderr, says);
      assert.doesNotMatch(ran.stderr, /a bug/);
    });
  }

  it('of an application that is not for users is told where that is allowed', async () => {
    const confidential = await startLocalSimulator(LIMITS, { ...OPTIONS, isPublicClient: false });
    try {
      const { command } = await begin(confidential);
      assert.equal(await command.exited, 1);
      assert.match(command.stderr, /AADSTS7000218|invalid_client/);
      assert.match(command.stderr, /Allow public client flows/);
    } finally {
      await confidential.stop();
    }
  });

  it('logs out, and is nobody then', async () => {
    await completeLogin();
    // As one that was killed while it wrote leaves it.
    await writeFile(`${await loginFile()}.part`, 'half of a login');
    const first = await runCommand(['logout'], { env: settings() });
    assert.deepEqual([first.code, first.stderr], [0, '']);
    assert.match(first.stdout, /^Logged out: deleted \S+\.json\.\n$/);
    assert.deepEqual(
      (await readdir(join(dataDir, 'logins'))).filter((name) => !name.endsWith('.lock')),
      [],
    );
    const again = await runCommand(['logout'], { env: settings() });
    assert.deepEqual([again.code, again.stdout], [0, 'No user was logged in.\n']);
    const { code, signIn } = await examine();
    assert.equal(code, 1);
    assert.match(
      signIn?.finding ?? '',
      /^Sign-in failed \(login_needed\): no user is logged in; run "standdown login"$/,
    );
  });

  it('has a login that others can read, or that is damaged: the doctor says so', async () => {
    await completeLogin();
    const path = await loginFile();
    await chmod(path, 0o644);
    const exposed = (await examine()).settings.find(
      ({ level, finding }) => level === 'warning' && /Other users can read/.test(finding),
    );
    assert.match(exposed?.finding ?? '', /^Other users can read the login in \S+\.json \(mode 644\)/);
    assert.match(exposed?.advice ?? '', /^Run: chmod 600 \S+\. .*revoke the user's sessions/);
    for (const text of ['', '{', '{"Account":{}}', 'null']) {
      await writeFile(path, text);
      const { code, signIn } = await examine();
      assert.equal(code, 1);
      assert.match(signIn?.finding ?? '', /^Sign-in failed \(login_needed\): .*run "standdown login"/, text);
    }
  });

  it('whose refresh token is repeated by an error shows it nowhere', async () => {
    const short = await startLocalSimulator(LIMITS, { ...OPTIONS, tokenLifetimeMs: 2_000 });
    try {
      await completeLogin(short);
      const [secret] = refreshTokensIn(await readFile(await loginFile(), 'utf8'));
      assert.ok(secret);
      const message = `AADSTS70000: The grant ${secret} is malformed`;
      short.setFaults([
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
      const short = await startLocalSimulator(LIMITS, { ...OPTIONS, tokenLifetimeMs: 2_000 });
      try {
        await completeLogin(short);
        short.endLogins(how);
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
    simulator.setRoles(['Machine.Isolate']);
    try {
      const { command, userCode } = await begin();
      simulator.decideLogin(userCode, 'approved');
      assert.equal(await command.exited, 0);
      assert.match(
        command.stdout,
        /^warning: No permission to read machine actions\. .*grant Machine\.Read or Machine\.ReadWrite \(.*delegated permissions/m,
      );
      const select = await runCommand(['select', '--where', 'status=Pending'], {
        env: { ...settings(), STANDDOWN_TENANT: 'delegated' },
      });
      assert.equal(select.code, 1);
      assert.match(
        select.stderr,
        /the token has Machine\.Isolate only: no permission to read machine actions; grant Machine\.Read or Machine\.ReadWrite$/m,
      );
    } finally {
      simulator.setRoles(['Machine.Isolate', 'Machine.Read.All']);
    }
    await completeLogin();
    assert.deepEqual(
      (await examine()).permissions.map(({ finding }) => finding),
      ['Permission to cancel: Machine.Isolate', 'Permission to read machine actions'],
    );
  });

  // Each has a login, a simulator and a tenant of its own: they wait side by side.
  describe('and workers', { concurrency: true }, () => {
    async function open(ids: number, tokenLifetimeMs = 4_000) {
      const { log, lines } = await keepingLog();
      const dir = await mkdtemp(join(TEST_DIR, 'login-'));
      const stack = await openStack(server, {
        limits: '10/1s,100000/1h',
        // Entra and msal count in whole seconds: a shorter one may end before it is renewed.
        simulator: { ...OPTIONS, tokenLifetimeMs },
        env: {
          AZURE_CLIENT_SECRET: '',
          AZURE_LOGIN: 'device-code',
          STANDDOWN_DATA_DIR: dir,
          CALL_TIMEOUT: '5s',
          LOG_LEVEL: 'trace',
        },
        log,
      });
      await stack.submit(stack.addActions(ids));
      const workers: Process[] = [];
      return {
        ...stack,
        /** Of workers in this process. */
        lines,
        workers,
        startProcess: () => void workers.push(startCli(['worker'], { env: stack.env })),
        logInHere: () => completeLogin({ ...stack.simulator, settings: stack.env }),
        loginFile: () => loginFile(dir),
        pending: async () => (await stack.status()).open,
        polls: (since = 0) => stack.simulator.calls(since).filter(isPoll),
        /** Everything ended as cancelled. */
        untilCancelled: async (): Promise<ReportLine[]> => {
          await stack.untilDone();
          await recount(stack.tenant, 1);
          const report = [...(await stack.report()).values()];
          assert.deepEqual(new Set(report.map(({ outcome }) => outcome)), new Set(['cancelled']));
          return report;
        },
        signInHold: async () => {
          const { redis, tenant } = stack;
          const { holds } = await viewBudget(redis, tenant.keys, tenant.config.limits);
          return holds.find(({ reason }) => reason === 'sign-in');
        },
        close: async () => {
          for (const worker of workers) worker.kill('SIGTERM');
          await Promise.all(workers.map((worker) => worker.exited));
          await stack.close();
          await rm(dir, { recursive: true, force: true });
        },
      };
    }

    it('share one login: each refresh token is used once, by one of them', async (t) => {
      const place = await open(75);
      const { workers, simulator: its } = place;
      try {
        await place.logInHere();
        // What is sent is rotated out: it does not stand there any more at the end.
        const first = refreshTokensIn(await readFile(await place.loginFile(), 'utf8'));
        const seen = its.calls().length;
        place.startProcess();
        place.startProcess();
        for (const { attempts } of await place.untilCancelled()) assert.equal(attempts, 1);
        const tokens = place.polls(seen);
        assert.deepEqual(
          tokens.filter(({ verdict }) => verdict !== 'served'),
          [],
        );
        t.diagnostic(`${tokens.length} token requests of two workers`);
        assert.ok(tokens.length >= 2);
        assert.equal(await place.signInHold(), undefined);
        const secrets = refreshTokensIn(await readFile(await place.loginFile(), 'utf8'));
        assert.equal(secrets.length, 1, 'those before it are not kept');
        assert.equal(workers.length, 2);
        for (const { stderr } of workers) {
          assert.ok(
            ![...first, ...secrets].some((secret) => stderr.includes(secret)) && !stderr.includes('eyJ'),
            'no token',
          );
          assert.ok(stderr.includes("a user's login (device code)"));
        }
        assert.equal((await stat(await place.loginFile())).mode & 0o777, 0o600);
      } finally {
        await place.close();
      }
    });

    it('go on where the login cannot be written, and write it when it can be', async () => {
      const place = await open(130);
      const { lines } = place;
      try {
        await place.logInHere();
        const file = await place.loginFile();
        const before = await readFile(file, 'utf8');
        // What is not empty is not removed to make way.
        await mkdir(join(`${file}.part`, 'in the way'), { recursive: true });
        await place.startWorker();
        const unkept = () => lines.filter((line) => line.includes('keeping it in memory for now'));
        // Each refresh token is good once: the second is of memory.
        await eventually(() => assert.ok(unkept().length >= 2, lines.join('')));
        assert.match(lines.join(''), /cannot save the login to .*\.part/);
        assert.equal(await readFile(file, 'utf8'), before);
        await rm(`${file}.part`, { recursive: true });
        await eventually(async () => assert.notEqual(await readFile(file, 'utf8'), before));
        for (const { attempts } of await place.untilCancelled()) assert.equal(attempts, 1);
        assert.equal(await place.signInHold(), undefined);
        for (const secret of refreshTokensIn(await readFile(file, 'utf8')))
          assert.ok(!lines.join('').includes(secret));
      } finally {
        await place.close();
      }
    });

    it('get another token, once for all of them, when the API refuses the one they share', async () => {
      const place = await open(50, 3_600_000);
      try {
        await place.logInHere();
        const seen = place.simulator.calls().length;
        await place.startWorker();
        await place.startWorker();
        await eventually(async () => assert.ok((await place.pending()) < 45));
        assert.equal(place.polls(seen).length, 0);
        place.simulator.revokeTokens();
        await place.untilCancelled();
        assert.equal(place.polls(seen).length, 1);
      } finally {
        await place.close();
      }
    });

    it('hold when the login is revoked, say what to do, and go on when somebody has logged in', async () => {
      const place = await open(90);
      try {
        await place.logInHere();
        const first = refreshTokensIn(await readFile(await place.loginFile(), 'utf8'));
        await place.startWorker();
        await eventually(async () => assert.ok((await place.pending()) < 85));
        place.simulator.endLogins('revoked');
        await eventually(async () =>
          assert.match(
            (await place.signInHold())?.detail ?? '',
            /AADSTS50173.*: the login is no longer valid; run "standdown login" again/,
          ),
        );
        assert.ok((await place.pending()) > 0);
        await place.logInHere();
        for (const { attempts } of await place.untilCancelled()) assert.equal(attempts, 1);
        assert.ok(
          ![...first, 'eyJ'].some((secret) => place.lines.join('').includes(secret)),
          'no token in the log',
        );
      } finally {
        await place.close();
      }
    });
  });
});
