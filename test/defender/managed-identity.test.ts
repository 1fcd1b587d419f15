import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { decodeJwt } from 'jose';
import { Agent } from 'undici';
import type { Finding } from '../../src/ops/doctor/finding.ts';
import type { SimulatorAddresses } from '../../src/simulator/index.ts';
import { openField } from '../end-to-end/support.ts';
import { ask, startBench } from '../simulator/support.ts';
import { type CommandsProcess, startCommandsProcess } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type LocalSimulator, startLocalSimulator } from '../support/simulator.ts';
import { eventually } from '../support/wait.ts';

const LIMITS = '100/1m,1500/1h';
const SYSTEM = '6f1d0f5e-2f4e-4a52-9d53-0c5b2f3f6a01';
const ASSIGNED = 'a3c8e1f2-7b60-4d1c-8f0e-5e9d4c3b2a02';
const UNKNOWN = 'ffffffff-7b60-4d1c-8f0e-5e9d4c3b2a02';

describe('a managed identity', () => {
  let server: TestRedis;
  let simulator: LocalSimulator;

  before(async () => {
    server = await openTestRedis();
    // It would end with its last client.
    await server.connect();
    simulator = await startLocalSimulator(LIMITS, { systemIdentity: SYSTEM, userIdentities: [ASSIGNED] });
  });
  after(async () => {
    await simulator.stop();
    await server.close();
  });

  const onAppService = ({ identityEndpoint, identityHeader }: SimulatorAddresses) => ({
    IDENTITY_ENDPOINT: identityEndpoint,
    IDENTITY_HEADER: identityHeader,
  });
  const onMachine = ({ apiUrl }: SimulatorAddresses) => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: apiUrl });

  /** msal keeps the first endpoint it finds for as long as the process lives: each place has a process of its own. */
  const places = new Map<string, CommandsProcess>();
  after(() => Promise.all([...places.values()].map((place) => place.stop())));

  function processAt(place: Record<string, string>): CommandsProcess {
    const key = JSON.stringify(place);
    const known = places.get(key) ?? startCommandsProcess(place);
    places.set(key, known);
    return known;
  }

  /** What the doctor, in a place, says of the sign-in; and what the simulator was asked. */
  async function examine(place: Record<string, string>, env: Record<string, string>) {
    const seen = simulator.calls().length;
    const {
      AZURE_TENANT_ID: _tenant,
      AZURE_CLIENT_ID: _app,
      AZURE_CLIENT_SECRET: _,
      ...rest
    } = simulator.settings;
    const settings = { ...rest, REDIS_URL: server.url, STANDDOWN_TENANT: 'managed', CALL_TIMEOUT: '2s' };
    const ran = await processAt(place).run(['doctor', '--json'], { ...settings, ...env });
    const { code, stdout, stderr } = ran;
    assert.equal(stderr, '');
    assert.ok(!stdout.includes(simulator.identityHeader), 'the header is nobody’s business');
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    const tokens = simulator.calls(seen).filter(({ operation }) => operation === 'token');
    return {
      code,
      settings: findings.find(({ check }) => check === 'settings'),
      signIn: findings.find(({ check }) => check === 'sign-in'),
      permissions: findings.filter(({ check }) => check === 'permissions'),
      tokens,
    };
  }

  const PLACES: [string, (from: SimulatorAddresses) => Record<string, string>, path: RegExp][] = [
    ['App Service', onAppService, /^\/msi\/token\?api-version=2019-08-01&resource=https/],
    [
      'a virtual machine',
      onMachine,
      /^\/metadata\/identity\/oauth2\/token\/\?api-version=2018-02-01&resource=https/,
    ],
  ];
  for (const [what, place, path] of PLACES) {
    it(`of ${what}, assigned by the system, signs in with a tenant's label alone`, async () => {
      const { code, settings, signIn, tokens } = await examine(place(simulator), {
        AZURE_MANAGED_IDENTITY: 'system',
      });
      assert.equal(code, 0);
      assert.equal(settings?.finding, 'Tenant managed: the system-assigned managed identity');
      assert.match(signIn?.finding ?? '', /^Signed in; the token is valid for 59 min$/);
      assert.deepEqual([tokens.length, tokens[0]?.verdict], [1, 'served']);
      assert.match(tokens[0]?.path ?? '', path);
      assert.doesNotMatch(tokens[0]?.path ?? '', /client_id/);
    });

    it(`of ${what}, assigned by the user, is named by its client id`, async () => {
      const { code, settings, tokens } = await examine(place(simulator), {
        AZURE_MANAGED_IDENTITY: ASSIGNED.toUpperCase(),
      });
      assert.equal(code, 0);
      assert.equal(settings?.finding, `Tenant managed: the user-assigned managed identity ${ASSIGNED}`);
      assert.match(tokens[0]?.path ?? '', new RegExp(`&client_id=${ASSIGNED}`));
    });

    it(`of ${what} that it does not have is refused`, async () => {
      const { code, signIn, tokens } = await examine(place(simulator), {
        AZURE_MANAGED_IDENTITY: UNKNOWN,
      });
      assert.deepEqual([code, tokens[0]?.verdict], [1, 'unauthorized']);
      assert.match(signIn?.finding ?? '', /^Sign-in failed \(\w+\): Identity not found$/);
      assert.match(signIn?.advice ?? '', /AZURE_MANAGED_IDENTITY/);
    });

    it(`of ${what} is not asked for another API`, async () => {
      const { code, signIn } = await examine(place(simulator), {
        AZURE_MANAGED_IDENTITY: 'system',
        DEFENDER_SCOPE: 'https://api.other.example/.default',
      });
      assert.equal(code, 1);
      assert.match(signIn?.finding ?? '', /AADSTS500011/);
    });
  }

  it('with the wrong header gets nothing', async () => {
    const { code, signIn } = await examine(
      { ...onAppService(simulator), IDENTITY_HEADER: 'guessed-by-a-stranger' },
      { AZURE_MANAGED_IDENTITY: 'system' },
    );
    assert.equal(code, 1);
    assert.match(signIn?.finding ?? '', /x-identity-header is missing or wrong/);
    assert.doesNotMatch(signIn?.finding ?? '', /guessed/);
  });

  it('where nobody hands out tokens: says that this is no such machine', async () => {
    const { code, signIn } = await examine(
      { IDENTITY_ENDPOINT: 'http://127.0.0.1:1/msi/token', IDENTITY_HEADER: 'guessed-by-a-stranger' },
      { AZURE_MANAGED_IDENTITY: 'system' },
    );
    assert.equal(code, 1);
    assert.match(signIn?.finding ?? '', /ECONNREFUSED/);
    assert.match(signIn?.meaning ?? '', /not an Azure machine/);
  });

  it('an endpoint that hangs, fails, or answers with a page, is told apart', async () => {
    const place = onAppService(simulator);
    const env = { AZURE_MANAGED_IDENTITY: 'system' };
    try {
      simulator.setFaults([{ operation: 'token', fault: { kind: 'hang' } }]);
      assert.match(
        (await examine(place, { ...env, CALL_TIMEOUT: '300ms' })).signIn?.finding ?? '',
        /request_timeout/,
      );
      simulator.setFaults([{ operation: 'token', fault: { kind: 'html', status: 502 } }]);
      assert.match((await examine(place, env)).signIn?.finding ?? '', /unreadable_answer/);
      simulator.setFaults([
        { operation: 'token', fault: { kind: 'status', status: 503, message: 'Starting.' } },
      ]);
      const { signIn, tokens } = await examine(place, env);
      assert.match(signIn?.finding ?? '', /Starting/);
      assert.equal(tokens.length, 1, 'a worker tries again by itself; msal must not wait on its own');
    } finally {
      simulator.setFaults([]);
    }
  });

  it('without a permission is told where identities get theirs', async () => {
    simulator.setRoles([]);
    try {
      const { permissions } = await examine(onAppService(simulator), { AZURE_MANAGED_IDENTITY: 'system' });
      assert.match(permissions[0]?.advice ?? '', /service principal/);
      assert.doesNotMatch(permissions[0]?.advice ?? '', /app registration/);
    } finally {
      simulator.setRoles(['Machine.Isolate', 'Machine.Read.All']);
    }
  });

  it('drains a campaign past the end of its tokens, and holds while it has none', async () => {
    const field = await openField(server, {
      limits: '10/1s,1000/1h',
      ids: 80,
      apart: false,
      simulator: { tokenLifetimeMs: 4_000, systemIdentity: null, userIdentities: [ASSIGNED] },
      env: {
        AZURE_TENANT_ID: '',
        AZURE_CLIENT_ID: '',
        AZURE_CLIENT_SECRET: '',
        AZURE_MANAGED_IDENTITY: ASSIGNED,
      },
    });
    try {
      const worker = field.startWorker({ ...onAppService(field.simulator), LOG_LEVEL: 'trace' });
      await eventually(async () => assert.ok((await field.campaign()).open < 75));
      await field.simulator.setFaults([
        { operation: 'token', fault: { kind: 'status', status: 500, message: 'Gone for a while.' } },
      ]);
      await eventually(() => assert.ok(worker.stderr.includes('Gone for a while'), 'it is held'));
      await field.simulator.setFaults([]);
      await field.untilDone();
      for (const { outcome, attempts } of (await field.assertComplete()).values())
        assert.deepEqual([outcome, attempts], ['cancelled', 1]);
      const calls = await field.simulator.calls();
      const served = calls.filter(({ operation, verdict }) => operation === 'token' && verdict === 'served');
      assert.ok(served.length > 2, `${served.length} tokens`);
      assert.match(worker.stderr, /"signIn":"the user-assigned managed identity a3c8e1f2/);
      assert.ok(!worker.stderr.includes(field.simulator.identityHeader));
      assert.ok(!worker.stderr.includes('eyJ'), 'no token in the log');
    } finally {
      await field.close();
    }
  });
});

describe("the simulator's endpoint for managed identities", () => {
  it('asks for the header, the version and the resource, and gives the documented fields', async (t) => {
    const { simulator } = await startBench(t, { systemIdentity: SYSTEM, tokenLifetimeMs: 60_000 });
    const agent = new Agent();
    t.after(() => agent.destroy());
    const resource = simulator.scope.replace('/.default', '');
    const get = (query: Record<string, string>, headers: Record<string, string>) =>
      ask(`${simulator.identityEndpoint}?${new URLSearchParams(query)}`, {
        dispatcher: agent,
        method: 'GET',
        headers,
      });
    const good = { 'api-version': '2019-08-01', resource };
    const header = { 'X-IDENTITY-HEADER': simulator.identityHeader };
    for (const [query, headers] of [
      [good, {}],
      [good, { 'X-IDENTITY-HEADER': 'x' }],
      [good, { Metadata: 'true' }],
      [{ ...good, 'api-version': '2018-02-01' }, header],
      [{ ...good, resource: simulator.scope }, header],
      [{ 'api-version': good['api-version'] }, header],
      [{ ...good, client_id: UNKNOWN }, header],
      [{ ...good, client_id: SYSTEM }, header],
    ] as const) {
      const reply = await get(query, headers);
      assert.equal(reply.status, 400, JSON.stringify([query, headers]));
      assert.ok(!reply.text.includes('access_token'));
    }
    const reply = await get(good, header);
    const body = reply.json<Record<string, string>>();
    assert.equal(reply.status, 200);
    assert.deepEqual(Object.keys(body).sort(), [
      'access_token',
      'client_id',
      'expires_on',
      'resource',
      'token_type',
    ]);
    const { appid, aud, exp } = decodeJwt(body['access_token'] ?? '');
    assert.deepEqual([appid, aud, String(exp)], [SYSTEM, resource, body['expires_on']]);
  });
});
