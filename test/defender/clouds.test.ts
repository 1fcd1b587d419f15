import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { tenantOf } from '../../src/app/tenant.ts';
import { CLOUDS, REGION_NAMES } from '../../src/config/clouds.ts';
import { type Environment, readConfig } from '../../src/config/config.ts';
import { readTenants } from '../../src/config/tenants-file.ts';
import { examineSettings } from '../../src/ops/doctor/settings.ts';
import { keysFor, OPERATIONS } from '../../src/store/keys.ts';
import { testFolder } from '../store/redis/support/machine.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { type StandIn, startStandIn } from './stand-in.ts';

const SIGN_IN = {
  AZURE_TENANT_ID: 'contoso.example',
  AZURE_CLIENT_ID: 'app',
  AZURE_CLIENT_SECRET: 'hunter2',
};

const COM = 'login.microsoftonline.com';
const US = 'login.microsoftonline.us';
const PUBLIC = 'api.securitycenter.microsoft.com';
const GCC = 'api-gcc.securitycenter.microsoft.us';
const GOV = 'api-gov.securitycenter.microsoft.us';

/** Written apart from the code: settings, and where they lead. */
const ROWS: [env: Record<string, string>, api: string, signIn: string, scope: string][] = [
  [{}, PUBLIC, COM, PUBLIC],
  [{ DEFENDER_REGION: 'global' }, 'api.security.microsoft.com', COM, PUBLIC],
  [{ DEFENDER_REGION: 'us' }, 'us.api.security.microsoft.com', COM, PUBLIC],
  [{ DEFENDER_REGION: 'eu' }, 'eu.api.security.microsoft.com', COM, PUBLIC],
  [{ DEFENDER_REGION: 'uk' }, 'uk.api.security.microsoft.com', COM, PUBLIC],
  [{ DEFENDER_REGION: 'au' }, 'au.api.security.microsoft.com', COM, PUBLIC],
  [{ DEFENDER_REGION: 'swa' }, 'swa.api.security.microsoft.com', COM, PUBLIC],
  [{ DEFENDER_REGION: 'ina' }, 'ina.api.security.microsoft.com', COM, PUBLIC],
  [{ DEFENDER_REGION: 'aea' }, 'aea.api.security.microsoft.com', COM, PUBLIC],
  [{ DEFENDER_CLOUD: 'gcc' }, GCC, COM, GCC],
  [{ DEFENDER_CLOUD: 'gcc-high' }, GOV, US, GOV],
  [{ DEFENDER_CLOUD: 'dod' }, GOV, US, GOV],
];

/** What goes before a cloud's API, sign-in and scope. */
const OTHERS: [name: string, value: string][] = [
  ['DEFENDER_API_URL', 'https://api.example'],
  ['AZURE_AUTHORITY_HOST', 'https://login.example'],
  ['DEFENDER_SCOPE', 'https://scope.example/.default'],
];

const scopeAt = (host: string) => `https://${host}/.default`;
const nameOf = (env: Record<string, string>) =>
  Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ') || 'no setting';

function placesOf(env: Environment): (string | null | undefined)[] {
  const { apiUrl, signIn } = readConfig({ ...SIGN_IN, ...env });
  return [apiUrl, signIn?.authorityHost, signIn?.scope];
}

async function examined(env: Environment) {
  const { findings } = await examineSettings({ ...SIGN_IN, ...env });
  return findings.slice(1);
}

describe('each cloud and region, by its settings', () => {
  it('there are no others', () => {
    const values = (name: string) =>
      new Set(ROWS.flatMap(([env]) => (env[name] === undefined ? [] : [env[name]])));
    assert.deepEqual([...values('DEFENDER_REGION')], REGION_NAMES);
    assert.deepEqual(['public', ...values('DEFENDER_CLOUD')], Object.keys(CLOUDS));
  });

  for (const [env, api, signIn, scope] of ROWS) {
    describe(nameOf(env), () => {
      const places = [`https://${api}`, `https://${signIn}`, scopeAt(scope)];

      it('has its API, sign-in and scope', () => assert.deepEqual(placesOf(env), places));

      for (const [index, [name, value]] of OTHERS.entries()) {
        it(`has another ${name} where one is given, and else the same`, () => {
          assert.deepEqual(placesOf({ ...env, [name]: value }), places.with(index, value));
        });
      }

      it('is what doctor says, without a warning', async () => {
        const [finding, ...more] = await examined(env);
        assert.deepEqual(more, []);
        assert.equal(finding?.level, 'ok');
        const region = env['DEFENDER_REGION'] ?? 'none';
        const where = env['DEFENDER_CLOUD'] ?? `public, region ${region}`;
        const [apiUrl, authority, asked] = places;
        assert.equal(finding?.finding, `Cloud ${where}: API ${apiUrl}, sign-in ${authority}, scope ${asked}`);
        const isOpen = api === GOV;
        assert.equal(/is not confirmed/.test(finding?.meaning ?? ''), isOpen, 'says what is not confirmed');
      });

      it('is no budget of its own', () => {
        const keys = (more: Environment) => {
          const made = keysFor(tenantOf(readConfig({ ...SIGN_IN, ...more })));
          return [made.state, ...OPERATIONS.map(made.slots)];
        };
        assert.deepEqual(keys(env), keys({}));
      });
    });
  }

  for (const cloud of ['gcc', 'gcc-high', 'dod']) {
    it(`${cloud} has no regions`, () => {
      assert.throws(
        () => readConfig({ ...SIGN_IN, DEFENDER_CLOUD: cloud, DEFENDER_REGION: 'us' }),
        new RegExp(
          `\\n {2}DEFENDER_REGION: only the public cloud has regions; remove it for DEFENDER_CLOUD=${cloud}$`,
        ),
      );
    });
  }

  it('a region is none by another name', () => {
    for (const region of ['EU', 'de', 'constructor', 'eu.api.security.microsoft.com'])
      assert.throws(
        () => readConfig({ DEFENDER_REGION: region }),
        /DEFENDER_REGION: must be one of global, us, eu, uk, au, swa, ina, aea$/,
      );
    assert.deepEqual(placesOf({ DEFENDER_REGION: ' ' }), placesOf({}), 'set to nothing');
  });
});

it('the tenants of one process each have a cloud and a region of their own', async (t) => {
  const path = join(testFolder(t), 'tenants.json');
  const tenants = ROWS.map(([env], index) => ({
    DEFENDER_CLOUD: 'public',
    // Nothing, where the environment says something.
    DEFENDER_REGION: '',
    ...env,
    AZURE_TENANT_ID: `tenant-${index}`,
  }));
  await writeFile(path, JSON.stringify(tenants));
  const configs = await readTenants(path, { ...SIGN_IN, DEFENDER_REGION: 'eu' });
  assert.deepEqual(
    configs.map(({ apiUrl, signIn }) => [apiUrl, signIn?.authorityHost, signIn?.scope]),
    ROWS.map(([, api, signIn, scope]) => [`https://${api}`, `https://${signIn}`, scopeAt(scope)]),
  );
});

describe('doctor, on addresses', () => {
  const WARNED: [what: string, env: Record<string, string>, says: RegExp][] = [
    [
      'a region that an address goes before',
      { DEFENDER_REGION: 'eu', DEFENDER_API_URL: 'https://uk.api.security.microsoft.com' },
      /^DEFENDER_REGION=eu is ignored, because DEFENDER_API_URL is set$/,
    ],
    [
      'a scope of the public cloud that is not known for this API',
      { DEFENDER_REGION: 'eu', DEFENDER_SCOPE: scopeAt('eu.api.security.microsoft.com') },
      /this is not the known scope of this API$/,
    ],
    [
      'the government’s sign-in with the public API',
      { AZURE_AUTHORITY_HOST: `https://${US}` },
      /some of these addresses belong to another cloud$/,
    ],
    [
      'the public sign-in with the government’s API',
      { DEFENDER_CLOUD: 'dod', AZURE_AUTHORITY_HOST: `https://${COM}` },
      /some of these addresses belong to another cloud$/,
    ],
    [
      'a regional host in GCC',
      { DEFENDER_CLOUD: 'gcc', DEFENDER_API_URL: 'https://us.api.security.microsoft.com' },
      /some of these addresses belong to another cloud$/,
    ],
    [
      'the API of GCC in the public cloud',
      { DEFENDER_API_URL: `https://${GCC}` },
      /some of these addresses belong to another cloud$/,
    ],
  ];
  for (const [what, env, says] of WARNED) {
    it(`warns of ${what}`, async () => {
      const warnings = (await examined(env)).filter(({ level }) => level === 'warning');
      assert.equal(warnings.length, 1, JSON.stringify(warnings));
      assert.match(warnings[0]?.finding ?? '', says);
      assert.notEqual(warnings[0]?.advice, '');
    });
  }

  it('says which region an address is of', async () => {
    const [finding] = await examined({ DEFENDER_API_URL: 'https://AU.api.security.microsoft.com' });
    assert.match(`${finding?.level} ${finding?.finding}`, /^ok Cloud public, region au: API /);
  });
});

describe('each cloud and region, by what is asked for', () => {
  let server: TestRedis;
  let standIn: StandIn;
  let stack: Stack | null = null;

  before(async () => {
    server = await openTestRedis();
    standIn = await startStandIn([...new Set(ROWS.flatMap(([, api, signIn]) => [api, signIn]))]);
  });
  afterEach(async () => {
    await stack?.close();
    stack = null;
    standIn.forget();
  });
  after(async () => {
    await standIn.close();
    await server.close();
  });

  async function open(env: Environment, scope: string, limits?: string): Promise<Stack> {
    const own = { DEFENDER_API_URL: '', AZURE_AUTHORITY_HOST: '', DEFENDER_SCOPE: '' };
    stack = await openStack(server, {
      ...(limits !== undefined && { limits }),
      env: { ...own, HTTPS_PROXY: standIn.url, NO_PROXY: '', ...env },
      // It gives out tokens for this scope only, and its API takes no others.
      simulator: { scope: scopeAt(scope), latencyMs: { min: 5, max: 20 } },
    });
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), standIn.authority]);
    standIn.lead(stack.simulator);
    return stack;
  }

  const hostsOf = (path: RegExp) => [
    ...new Set(standIn.asked.filter((asked) => path.test(asked.path)).map(({ host }) => host)),
  ];

  for (const [env, api, signIn, scope] of ROWS) {
    it(`${nameOf(env)}: ${api}`, async () => {
      const { startWorker, submit, addActions, untilDone } = await open(env, scope);
      await submit(addActions(2));
      await startWorker();
      assert.deepEqual((await untilDone()).outcomes, { cancelled: 2 });
      assert.deepEqual([...standIn.tunnels].sort(), [`${api}:443`, `${signIn}:443`].sort());
      assert.deepEqual(hostsOf(/\/machineactions\/.*\/cancel$/), [api]);
      assert.deepEqual(hostsOf(/\/oauth2\/v2\.0\/token\b/), [signIn]);
      const scopes = standIn.asked.flatMap((asked) => asked.scope?.split(' ') ?? []);
      assert.ok(scopes.includes(scopeAt(scope)), scopes.join());
      assert.deepEqual(
        scopes.filter((asked) => asked.startsWith('https:') && asked !== scopeAt(scope)),
        [],
      );
    });
  }

  it('two regions at once: one quota', async () => {
    const limits = '10/1s,25/4s';
    const { startWorker, submit, addActions, untilDone, simulator } = await open({}, PUBLIC, limits);
    await submit(addActions(40));
    for (const region of ['us', 'eu']) await startWorker({ DEFENDER_REGION: region, CONCURRENCY: '1' });
    assert.deepEqual((await untilDone()).outcomes, { cancelled: 40 });
    const hosts = hostsOf(/\/cancel$/).sort();
    assert.deepEqual(hosts, ['eu.api.security.microsoft.com', 'us.api.security.microsoft.com']);
    assert.deepEqual(simulator.refusals(), []);
    assert.ok(simulator.peak('cancel', 4_000) <= 25);
  });
});
