import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { StanddownError } from '../../src/base/errors.ts';
import { CLOUDS, type CloudName } from '../../src/config/clouds.ts';
import { type Environment, readConfig } from '../../src/config/config.ts';
import { formatWindows } from '../../src/config/limits.ts';
import { createDispatcher } from '../../src/defender/client.ts';
import { runCommand } from '../support/command.ts';
import { runCli } from '../support/processes.ts';
import { TEST_DIR } from '../support/redis.ts';

const TENANT_ID = '9F3C2A1B-0000-4000-8000-000000000001';
const SIGN_IN = {
  AZURE_TENANT_ID: TENANT_ID,
  AZURE_CLIENT_ID: 'app',
  AZURE_CLIENT_SECRET: 'hunter2-hunter2',
};

/** What is said of wrong settings, a mistake a line. */
function mistakes(environment: Environment): string[] {
  try {
    readConfig(environment);
  } catch (error) {
    assert(error instanceof StanddownError);
    assert.equal(error.code, 'CONFIG_INVALID');
    const [first, ...rest] = error.message.split('\n');
    assert.equal(first, 'invalid settings:');
    return rest.map((line) => line.replace(/^ {2}/, ''));
  }
  return [];
}

describe('the settings', () => {
  it('have defaults', () => {
    assert.deepEqual(readConfig({}), {
      redisUrl: null,
      tenantsFile: null,
      tenant: null,
      signIn: null,
      signInMissing: [
        'AZURE_TENANT_ID',
        'AZURE_CLIENT_ID',
        'AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH',
      ],
      cloud: 'public',
      region: null,
      apiUrl: 'https://api.securitycenter.microsoft.com',
      limits: {
        windows: [
          { max: 100, lengthMs: 60_000 },
          { max: 1_500, lengthMs: 3_600_000 },
        ],
        reserves: [
          { max: 10, lengthMs: 60_000 },
          { max: 30, lengthMs: 3_600_000 },
        ],
      },
      concurrency: 10,
      callTimeoutMs: 30_000,
      maxAttempts: 8,
      defaultComment: null,
      resultRetentionMs: 90 * 86_400_000,
      precheck: 'auto',
      dataDir: resolve('.standdown'),
      logLevel: 'info',
      healthPort: null,
      healthHost: '127.0.0.1',
      notify: null,
      console: { port: 8_089, host: '127.0.0.1', names: [], proxies: [], readToken: null, actToken: null },
      watchdogMs: 120_000,
      httpsProxy: null,
      noProxy: null,
    });
  });

  it('are taken as given', () => {
    const config = readConfig({
      ...SIGN_IN,
      REDIS_URL: ' redis://host ',
      AZURE_AUTHORITY_HOST: 'https://login.example/',
      DEFENDER_SCOPE: 'scope',
      DEFENDER_API_URL: 'https://proxy.example/defender//',
      CONCURRENCY: '1000',
      CALL_TIMEOUT: '100ms',
      MAX_ATTEMPTS: '1',
      DEFAULT_COMMENT: ' stopped ',
      RESULT_RETENTION: '1h',
      PRECHECK: 'off',
      STANDDOWN_DATA_DIR: 'elsewhere',
      LOG_LEVEL: 'trace',
      HEALTH_PORT: '8086',
      HEALTH_HOST: '0.0.0.0',
      WATCHDOG_TIMEOUT: '10m',
      HTTPS_PROXY: 'http://proxy:8080',
      NO_PROXY: 'localhost',
      UNKNOWN: 'x',
    });
    assert.deepEqual(
      [config.redisUrl?.reveal(), config.httpsProxy?.reveal(), config.noProxy],
      ['redis://host', 'http://proxy:8080', 'localhost'],
    );
    assert.deepEqual(
      [config.signIn?.authorityHost, config.signIn?.scope, config.apiUrl, config.dataDir],
      ['https://login.example', 'scope', 'https://proxy.example/defender', resolve('elsewhere')],
    );
    assert.deepEqual(
      [config.concurrency, config.callTimeoutMs, config.maxAttempts, config.resultRetentionMs],
      [1_000, 100, 1, 3_600_000],
    );
    assert.deepEqual([config.defaultComment, config.precheck, config.logLevel], ['stopped', 'off', 'trace']);
    assert.deepEqual([config.healthPort, config.healthHost, config.watchdogMs], [8_086, '0.0.0.0', 600_000]);
  });

  it('that are set to nothing count as not set', () => {
    const blank = Object.fromEntries(
      ['REDIS_URL', 'STANDDOWN_TENANT', 'CONCURRENCY', 'LOG_LEVEL', 'URGENT_RESERVE', 'HTTPS_PROXY'].map(
        (name, index) => [name, index % 2 === 0 ? '' : '  '],
      ),
    );
    assert.deepEqual(readConfig(blank), readConfig({}));
  });

  it('for proxies may be spelled in lower case; capitals go first', () => {
    const proxies = { https_proxy: 'http://low:1', no_proxy: 'low' };
    assert.deepEqual(
      [readConfig(proxies).httpsProxy?.reveal(), readConfig(proxies).noProxy],
      ['http://low:1', 'low'],
    );
    assert.equal(readConfig({ ...proxies, NO_PROXY: 'HIGH' }).noProxy, 'HIGH');
  });

  const PROXIES: [text: string, mistake: RegExp | null][] = [
    ['proxy:8080', null],
    ['10.0.0.1:3128', null],
    ['me:secret@proxy:8080', null],
    ['HTTP://proxy:8080', null],
    ['HTTPS://me:p%40ss@proxy', null],
    ['http://me:100%@proxy:8080', /"%" .* write %25/],
    ['http://me:p%zz@proxy:8080', /"%" .* write %25/],
    ['http://me:p%ff@proxy:8080', /"%" .* write %25/],
    ['http://pro%xy:8080', /"%" .* write %25/],
    ['socks5://me:secret@proxy:1080', /^HTTPS_PROXY: SOCKS proxies are not supported/],
    ['SOCKS5h://proxy:1080', /^HTTPS_PROXY: SOCKS proxies are not supported/],
    ['ftp://proxy', /must begin with http/],
    ['http://proxy:80808', /not a valid URL/],
    ['http://two words:80', /not a valid URL/],
  ];
  for (const [text, mistake] of PROXIES) {
    it(`take HTTPS_PROXY=${text}, and what calls out ${mistake ? 'says what is wrong' : 'uses it'}`, async () => {
      const { httpsProxy, noProxy } = readConfig({ HTTPS_PROXY: text });
      const open = () => createDispatcher({ connections: 1, httpsProxy, noProxy });
      if (mistake === null) await open().destroy();
      else {
        assert.throws(open, (error) => {
          assert.ok(error instanceof StanddownError && error.code === 'CONFIG_INVALID');
          assert.match(error.message, mistake);
          assert.doesNotMatch(error.message, /secret/);
          return true;
        });
      }
    });
  }

  const WRONG: [name: keyof Environment, value: string, says: RegExp][] = [
    ['STANDDOWN_TENANT', 'two words', /must be 1 to 64 letters, digits/],
    ['STANDDOWN_TENANT', '{brace}', /must be 1 to 64 letters, digits/],
    ['STANDDOWN_TENANT', 'a'.repeat(65), /must be 1 to 64 letters/],
    ['AZURE_TENANT_ID', 'a/b', /not a tenant id or domain/],
    ['AZURE_AUTHORITY_HOST', 'login.example', /must begin with https:/],
    ['AZURE_AUTHORITY_HOST', 'http://localhost', /must begin with https:/],
    ['AZURE_AUTHORITY_HOST', 'https://me@login.example', /must be a host and an optional path, without/],
    ['DEFENDER_CLOUD', 'Public', /must be one of public, gcc, gcc-high, dod/],
    ['DEFENDER_API_URL', 'api.example', /not a valid URL \(must begin with https:/],
    ['DEFENDER_API_URL', 'ftp://api.example', /not a valid URL \(must begin with https:/],
    ['DEFENDER_API_URL', 'https://api.example/?a=1', /must be a host and an optional path, without/],
    ['DEFENDER_API_URL', 'https://api.example/#a', /must be a host and an optional path, without/],
    ['DEFENDER_API_URL', 'https://me:hunter2@api.example', /must be a host and an optional path, without/],
    ['DEFENDER_API_URL', 'https://:hunter2@api.example', /must be a host and an optional path, without/],
    ['RATE_LIMITS', '100', /"100" does not have the form max\/duration/],
    ['RATE_LIMITS', '100/1m,', /"" does not have the form max\/duration/],
    ['RATE_LIMITS', '0/1m', /allows no calls/],
    ['RATE_LIMITS', '1/1m,2/60s', /more than one limit for 1m/],
    ['URGENT_RESERVE', '30', /"30" does not have the form max\/duration/],
    ['URGENT_RESERVE', '30/2h', /RATE_LIMITS has no window of 2h/],
    ['URGENT_RESERVE', '1500/1h', /1500\/1h must be less than the limit, 1500\/1h/],
    ['CONCURRENCY', '0', /must be between 1 and 1000/],
    ['CONCURRENCY', '1001', /must be between 1 and 1000/],
    ['CONCURRENCY', '1.5', /not a whole number/],
    ['CONCURRENCY', '-1', /not a whole number/],
    ['CALL_TIMEOUT', '30', /"30" is not a duration/],
    ['CALL_TIMEOUT', '99ms', /must be between 100ms and 5m/],
    ['CALL_TIMEOUT', '301s', /must be between 100ms and 5m/],
    ['MAX_ATTEMPTS', '0', /must be between 1 and 100/],
    ['MAX_ATTEMPTS', '101', /must be between 1 and 100/],
    ['DEFAULT_COMMENT', 'x'.repeat(4_001), /must be at most 4000 characters long/],
    ['RESULT_RETENTION', '0d', /"0d" is not a duration/],
    ['RESULT_RETENTION', 'forever', /"forever" is not a duration/],
    ['PRECHECK', 'on', /must be auto or off/],
    ['LOG_LEVEL', 'verbose', /must be one of trace, debug, info, warn, error, fatal, silent/],
    ['HEALTH_PORT', '65536', /must be between 0 and 65535/],
    ['HEALTH_PORT', ':8086', /not a whole number/],
    ['HEALTH_HOST', 'localhost', /must be an IP address/],
    ['HEALTH_HOST', '10.0.0', /must be an IP address/],
    ['HEALTH_HOST', '127.0.0.1:8086', /must be an IP address/],
    ['WATCHDOG_TIMEOUT', '999ms', /must be between 1s and 1h/],
    ['WATCHDOG_TIMEOUT', 'off', /"off" is not a duration/],
  ];
  for (const [name, value, says] of WRONG) {
    it(`refuse ${name}=${value.slice(0, 40)}`, () => {
      const said = mistakes({ [name]: value });
      const [first = '', ...more] = said;
      assert.deepEqual(more, []);
      assert.ok(first.startsWith(`${name}: `), first);
      assert.match(first, says);
      assert.doesNotMatch(first, /hunter2/);
    });
  }

  it('say where notices go', () => {
    const given = { NOTIFY_URL: 'https://hooks.example/t', NOTIFY_SECRET: 'a-secret-of-16-c' };
    const { notify } = readConfig(given);
    assert.deepEqual([notify?.holdMs, notify?.allowPrivate], [900_000, false]);
    assert.equal(notify?.url.reveal(), given.NOTIFY_URL);
    assert.doesNotMatch(inspect(readConfig(given), { depth: null }), /a-secret|hooks/);
    assert.equal(readConfig({ NOTIFY_SECRET: given.NOTIFY_SECRET }).notify, null);
    const open = { NOTIFY_URL: 'http://10.0.0.1/', NOTIFY_ALLOW_PRIVATE: 'true', NOTIFY_HOLD: '1m' };
    const own = readConfig({ ...given, ...open }).notify;
    assert.deepEqual([own?.holdMs, own?.allowPrivate], [60_000, true]);
  });

  const NOTIFY: [Environment, RegExp][] = [
    [{ NOTIFY_URL: 'hooks.example' }, /^NOTIFY_URL: not a valid URL \(must begin with https/],
    [{ NOTIFY_URL: 'file:///etc/passwd' }, /^NOTIFY_URL: not a valid URL \(must begin with https/],
    [{ NOTIFY_URL: 'http://hooks.example' }, /^NOTIFY_URL: must begin with https/],
    [{ NOTIFY_URL: 'https://me:hunter2@hooks.example' }, /^NOTIFY_URL: must not contain a user name/],
    [{ NOTIFY_URL: 'https://hooks.example/#a' }, /^NOTIFY_URL: must not contain a user name/],
    [{ NOTIFY_SECRET: undefined }, /^NOTIFY_SECRET: required/],
    [{ NOTIFY_SECRET: 'short' }, /^NOTIFY_SECRET: must be at least 16 characters/],
    [{ NOTIFY_HOLD: '999ms' }, /^NOTIFY_HOLD: must be at least 1s/],
    [{ NOTIFY_ALLOW_PRIVATE: 'yes' }, /^NOTIFY_ALLOW_PRIVATE: must be true or false/],
  ];
  for (const [given, says] of NOTIFY) {
    it(`refuse ${JSON.stringify(given)} for notices`, () => {
      const all = { NOTIFY_URL: 'https://hooks.example/', NOTIFY_SECRET: 'a-secret-of-16-c', ...given };
      const said = mistakes(all);
      assert.equal(said.length, 1);
      assert.match(said[0] ?? '', says);
      assert.doesNotMatch(said[0] ?? '', /hunter2/);
    });
  }

  it('list every mistake at once', () => {
    const said = mistakes({
      STANDDOWN_TENANT: 'two words',
      CONCURRENCY: 'many',
      LOG_LEVEL: 'loud',
      URGENT_RESERVE: '5/2h',
      AZURE_CLIENT_SECRET: 'hunter2-hunter2',
      AZURE_CLIENT_CERTIFICATE_PATH: 'cert.pem',
    });
    assert.deepEqual(
      said.map((line) => line.split(':')[0]),
      [
        'STANDDOWN_TENANT',
        'CONCURRENCY',
        'LOG_LEVEL',
        'URGENT_RESERVE',
        'AZURE_CLIENT_SECRET and AZURE_CLIENT_CERTIFICATE_PATH',
      ],
    );
    assert.doesNotMatch(said.join('\n'), /hunter2/);
  });

  const RESERVES: [limits: string | undefined, reserve: string | undefined, kept: string][] = [
    [undefined, undefined, '10/1m,30/1h'],
    [undefined, '10/1m', '10/1m'],
    [undefined, '99/60s,1/1h', '99/1m,1/1h'],
    [undefined, 'none', ''],
    [undefined, '0/1h', ''],
    [undefined, '0/2h', ''],
    // The default where it does not fit.
    ['100/1m', undefined, '10/1m'],
    ['30/1h', undefined, ''],
    ['31/1h', undefined, '30/1h'],
    ['100/1s', undefined, ''],
  ];
  for (const [limits, reserve, kept] of RESERVES) {
    it(`keep ${kept || 'nothing'} of ${limits ?? 'the default'} with the reserve ${reserve ?? 'not given'}`, () => {
      const config = readConfig({ RATE_LIMITS: limits, URGENT_RESERVE: reserve });
      assert.equal(formatWindows(config.limits.reserves), kept);
    });
  }

  for (const address of [
    'http://127.0.0.1:8080',
    'http://127.1.2.3',
    'http://localhost:1/x',
    'http://[::1]:1',
  ]) {
    it(`take plain ${address}`, () =>
      assert.equal(readConfig({ DEFENDER_API_URL: address }).apiUrl, address));
  }
  for (const address of [
    'http://api.example',
    'http://127.0.0.1.api.example',
    'http://localhost.api.example',
    'http://10.0.0.1',
    'http://[::2]',
  ]) {
    it(`refuse plain ${address}`, () =>
      assert.match(
        mistakes({ DEFENDER_API_URL: address }).join(),
        /plain http is only for this machine: it sends tokens unencrypted/,
      ));
  }

  for (const [given, base, cut] of [
    ['https://api.example/api', 'https://api.example', '/api'],
    ['https://api.example/API/', 'https://api.example', '/API'],
    ['https://api.example/api/v1.0', 'https://api.example', '/api/v1.0'],
    ['https://api.example//api/v2//', 'https://api.example', '//api/v2'],
    ['https://api.example/api/machineactions', 'https://api.example', '/api/machineactions'],
    ['https://api.example/api/v1/MachineActions/', 'https://api.example', '/api/v1/MachineActions'],
    ['https://api.example/machineactions', 'https://api.example', '/machineactions'],
    ['https://proxy.example/defender/api/api', 'https://proxy.example/defender', '/api/api'],
    ['https://proxy.example/defender/v1', 'https://proxy.example/defender/v1', undefined],
    ['https://proxy.example/my-api', 'https://proxy.example/my-api', undefined],
    ['https://proxy.example/api/defender', 'https://proxy.example/api/defender', undefined],
    ['https://api', 'https://api', undefined],
    ['https://machineactions/api', 'https://machineactions', '/api'],
  ]) {
    it(`take ${given} for the base ${base}`, () => {
      const { apiUrl, apiPathCut } = readConfig({ DEFENDER_API_URL: given });
      assert.deepEqual([apiUrl, apiPathCut], [base, cut]);
    });
  }

  const GOV = 'api-gov.securitycenter.microsoft.us';
  const TABLE: [cloud: CloudName, signIn: string, api: string][] = [
    ['public', 'login.microsoftonline.com', 'api.securitycenter.microsoft.com'],
    ['gcc', 'login.microsoftonline.com', 'api-gcc.securitycenter.microsoft.us'],
    ['gcc-high', 'login.microsoftonline.us', GOV],
    ['dod', 'login.microsoftonline.us', GOV],
  ];
  for (const [cloud, signIn, api] of TABLE) {
    it(`know the cloud ${cloud}`, () => {
      const config = readConfig({ ...SIGN_IN, DEFENDER_CLOUD: cloud });
      assert.deepEqual(
        [config.apiUrl, config.signIn?.authorityHost, config.signIn?.scope],
        [`https://${api}`, `https://${signIn}`, `https://${api}/.default`],
      );
    });
  }
  it('know no other cloud', () =>
    assert.deepEqual(
      Object.keys(CLOUDS),
      TABLE.map(([cloud]) => cloud),
    ));

  it('call the tenant by its label, or by its id in lower case', () => {
    assert.equal(readConfig({ ...SIGN_IN, STANDDOWN_TENANT: 'Contoso' }).tenant, 'Contoso');
    assert.equal(readConfig(SIGN_IN).tenant, TENANT_ID.toLowerCase());
    assert.equal(
      readConfig({ AZURE_TENANT_ID: 'contoso.onmicrosoft.com' }).tenant,
      'contoso.onmicrosoft.com',
    );
  });

  it('sign in with a secret, a certificate or a federated token', () => {
    assert.equal(readConfig(SIGN_IN).signIn?.credential.kind, 'secret');
    const { AZURE_CLIENT_SECRET, ...rest } = SIGN_IN;
    assert.deepEqual(readConfig({ ...rest, AZURE_CLIENT_CERTIFICATE_PATH: 'cert.pem' }).signIn?.credential, {
      kind: 'certificate',
      path: resolve('cert.pem'),
      password: null,
    });
    assert.deepEqual(readConfig({ ...rest, AZURE_FEDERATED_TOKEN_FILE: 'token' }).signIn?.credential, {
      kind: 'federated',
      path: resolve('token'),
    });
    assert.throws(
      () => readConfig({ ...SIGN_IN, AZURE_FEDERATED_TOKEN_FILE: 'token' }),
      /AZURE_CLIENT_SECRET and AZURE_FEDERATED_TOKEN_FILE: set only one of them/,
    );
    assert.deepEqual(readConfig(rest).signInMissing, [
      'AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH',
    ]);
    assert.ok(AZURE_CLIENT_SECRET);
  });

  it('sign in with a managed identity, which needs nothing but a label beside it', () => {
    const assigned = 'a3c8e1f2-7b60-4d1c-8f0e-5e9d4c3b2a02';
    for (const [given, clientId] of [
      ['system', null],
      [assigned, assigned],
      [assigned.toUpperCase(), assigned],
    ] as const) {
      const { signIn, signInMissing } = readConfig({ AZURE_MANAGED_IDENTITY: given });
      assert.deepEqual(signIn?.credential, { kind: 'managed', clientId });
      assert.deepEqual([signIn?.tenantId, signIn?.authorityHost, signInMissing], [null, null, []]);
    }
    for (const wrong of ['System', 'true', 'my-identity', `${assigned}0`]) {
      assert.deepEqual(mistakes({ AZURE_MANAGED_IDENTITY: wrong }), [
        'AZURE_MANAGED_IDENTITY: must be system or the client id (a GUID) of a user-assigned identity',
      ]);
    }
    assert.deepEqual(mistakes({ ...SIGN_IN, AZURE_MANAGED_IDENTITY: 'system' }), [
      'AZURE_CLIENT_SECRET and AZURE_MANAGED_IDENTITY: set only one of them',
    ]);
  });

  it('sign in with a login that is kept for each tenant and application', () => {
    const env = { AZURE_LOGIN: 'device-code', STANDDOWN_DATA_DIR: 'data' };
    const named = { ...env, AZURE_TENANT_ID: 'Contoso.example', AZURE_CLIENT_ID: '../App' };
    assert.deepEqual(readConfig(named).signIn?.credential, {
      kind: 'login',
      path: resolve('data/logins/contoso.example_..%2Fapp.json'),
    });
    assert.deepEqual(readConfig(env).signInMissing, ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID']);
    assert.deepEqual(mistakes({ AZURE_LOGIN: 'browser' }), ['AZURE_LOGIN: must be device-code']);
    assert.deepEqual(mistakes({ ...SIGN_IN, ...env, AZURE_MANAGED_IDENTITY: 'system' }), [
      'AZURE_CLIENT_SECRET and AZURE_MANAGED_IDENTITY and AZURE_LOGIN: set only one of them',
    ]);
  });

  it('do not show secrets when they are printed', () => {
    const config = readConfig({
      ...SIGN_IN,
      REDIS_URL: 'redis://:hunter2-redis@host',
      HTTPS_PROXY: 'http://me:hunter2-proxy@host',
    });
    for (const printed of [inspect(config, { depth: null, showHidden: true }), JSON.stringify(config)]) {
      assert.doesNotMatch(printed, /hunter2/);
    }
  });
});

describe('--env-file', () => {
  let folder: string;
  let file: string;

  before(async () => {
    await mkdir(TEST_DIR, { recursive: true });
    folder = await mkdtemp(join(TEST_DIR, 'env-file-'));
    file = join(folder, 'settings');
    await writeFile(
      file,
      '# of a test\nREDIS_URL="redis://127.0.0.1:1"\nSTANDDOWN_TENANT=from-file\nCONCURRENCY=1\n',
      { mode: 0o600 },
    );
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Node looks for an `--env-file` itself in all of its command line, up to a `--`. Here it sees none. */
  const runUnseen = (args: readonly string[], env: Record<string, string> = {}) => runCommand(args, { env });

  const WAYS: [name: string, run: typeof runUnseen][] = [
    ['as Node sees it', (args, env) => runCli(args, { env: env ?? {} })],
    ['as Standdown reads it', runUnseen],
  ];
  for (const [name, run] of WAYS) {
    it(`gives settings, and the environment goes first: ${name}`, async () => {
      const fromFile = await run(['--env-file', file, 'status']);
      assert.match(fromFile.stderr, /^standdown: cannot use Redis at redis:\/\/127\.0\.0\.1:1\/0: /);
      assert.equal(fromFile.code, 1);
      const env = { REDIS_URL: 'redis://127.0.0.1:2' };
      const fromBoth = await run(['--env-file', file, 'status'], env);
      assert.match(fromBoth.stderr, /^standdown: cannot use Redis at redis:\/\/127\.0\.0\.1:2\/0: /);
      const wrong = await run(['--env-file', file, 'status'], { CONCURRENCY: 'many' });
      assert.deepEqual([wrong.code, wrong.stdout], [2, '']);
      assert.match(wrong.stderr, /CONCURRENCY: not a whole number/);
    });
  }

  it('that others can read draws a warning, which says what to do', async () => {
    const warned = async () => (await runUnseen(['--env-file', file, 'status'])).stderr;
    assert.doesNotMatch(await warned(), /other users/);
    await chmod(file, 0o640);
    const words =
      /"level":"warn".*other users can read the settings in .*settings \(mode 640\); run chmod 600 /;
    assert.match(await warned(), words);
    const nowhere = { DEFENDER_API_URL: 'http://127.0.0.1:1' };
    const { stdout } = await runUnseen(['--env-file', file, 'doctor'], nowhere);
    assert.match(
      stdout,
      /warning +settings +Other users can read the settings in .* \(mode 640\)[\s\S]*→ Run: chmod 600 /,
    );
    await chmod(file, 0o600);
    assert.doesNotMatch(await warned(), /other users/);
  });

  it('that cannot be read: exit 2, and says why', async () => {
    for (const [path, says] of [
      [join(folder, 'missing'), /missing cannot be read: ENOENT/],
      [folder, /cannot be read: EISDIR/],
    ] as const) {
      const { code, stdout, stderr } = await runUnseen(['--env-file', path, 'status']);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, /^standdown: --env-file /);
      assert.match(stderr, says);
    }
  });

  it('that Node cannot read: it does not even start Standdown, and names the file', async () => {
    const { code, stdout, stderr } = await runCli(['--env-file', join(folder, 'missing'), 'status']);
    assert.deepEqual([code, stdout], [9, '']);
    assert.match(stderr, /missing: not found/);
  });
});
