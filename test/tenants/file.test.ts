import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { StanddownError } from '../../src/base/errors.ts';
import { withoutSecrets } from '../../src/base/secret.ts';
import type { Environment } from '../../src/config/config.ts';
import { chooseConfig, readTenants } from '../../src/config/tenants-file.ts';
import { examineSettings } from '../../src/ops/doctor/settings.ts';
import { testFolder } from '../store/redis/support/machine.ts';

const ENV = { AZURE_CLIENT_ID: 'app', AZURE_CLIENT_SECRET: 'of-the-environment', RATE_LIMITS: '10/1s' };
const A = { STANDDOWN_TENANT: 'a', AZURE_TENANT_ID: 'a.example' };
const B = { STANDDOWN_TENANT: 'b', AZURE_TENANT_ID: 'b.example' };

async function fileWith(t: TestContext, content: unknown): Promise<string> {
  const path = join(testFolder(t), 'tenants.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

async function mistakes(t: TestContext, content: unknown, env: Environment = ENV): Promise<string[]> {
  const path = await fileWith(t, content);
  try {
    await readTenants(path, env);
  } catch (error) {
    assert(error instanceof StanddownError);
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.message
      .replaceAll(path, 'FILE')
      .split('\n')
      .map((line) => line.trim());
  }
  return [];
}

describe('the file of tenants', () => {
  it('holds what is each one’s own; the rest comes from the environment', async (t) => {
    const path = await fileWith(t, [A, { ...B, RATE_LIMITS: '5/1s', AZURE_CLIENT_ID: 'other' }]);
    const [a, b] = await readTenants(path, { ...ENV, STANDDOWN_TENANT: 'ignored' });
    assert.deepEqual([a?.tenant, a?.signIn?.tenantId, a?.signIn?.clientId], ['a', 'a.example', 'app']);
    assert.deepEqual([b?.tenant, b?.signIn?.tenantId, b?.signIn?.clientId], ['b', 'b.example', 'other']);
    assert.deepEqual(
      [a, b].map((its) => its?.limits.windows[0]?.max),
      [10, 5],
    );
  });

  it('takes the tenant id for a label, as the environment does', async (t) => {
    const [only] = await readTenants(await fileWith(t, [{ AZURE_TENANT_ID: 'B.Example' }]), ENV);
    assert.equal(only?.tenant, 'b.example');
  });

  it('refers to secrets in variables and in files, beside itself', async (t) => {
    const path = await fileWith(t, [
      { ...A, AZURE_CLIENT_SECRET: { env: 'A_SECRET' } },
      { ...B, AZURE_CLIENT_SECRET: { file: 'secrets/b' } },
    ]);
    await mkdir(join(path, '../secrets'));
    await writeFile(join(path, '../secrets/b'), 'secret-of-b\n');
    const configs = await readTenants(path, { ...ENV, A_SECRET: 'secret-of-a' });
    const secrets = configs.map(({ signIn }) => {
      assert(signIn?.credential.kind === 'secret');
      return signIn.credential.secret.reveal();
    });
    assert.deepEqual(secrets, ['secret-of-a', 'secret-of-b']);
    assert.doesNotMatch(withoutSecrets('secret-of-a secret-of-b'), /of-[ab]/);
    assert.doesNotMatch(JSON.stringify(configs), /secret-of/);
  });

  it('replaces the environment’s credential by its own, of whichever kind', async (t) => {
    const path = await fileWith(t, [{ ...A, AZURE_CLIENT_CERTIFICATE_PATH: 'a.pem' }]);
    const [only] = await readTenants(path, ENV);
    assert.deepEqual(only?.signIn?.credential, {
      kind: 'certificate',
      path: join(path, '../a.pem'),
      password: null,
    });
  });

  it('is refused with all that is wrong, and quotes no secret', async (t) => {
    const said = await mistakes(t, [
      { ...A, AZURE_CLIENT_SECRET: 'inline-secret' },
      { ...B, AZURE_CLIENT_SECRET: { env: 'NOT_SET' }, RATE_LIMITS: 'x', LOG_LEVEL: 'info' },
      { ...B, STANDDOWN_TENANT: 'c', CONCURRENCY: '0' },
      { RATE_LIMITS: '1/1s', NO_SUCH: 'x' },
      { ...B, AZURE_CLIENT_SECRET: { file: 'not-there' } },
    ]);
    assert.match(said.shift() ?? '', /^TENANTS_FILE: invalid settings in FILE:$/);
    assert.deepEqual(
      said.map((line) => line.replace(/ \/\S*not-there/, ' not-there')),
      [
        'tenant 1 (a): AZURE_CLIENT_SECRET: this file must not contain secrets; refer to it by {"env": "NAME"} or {"file": "PATH"}',
        'tenant 2 (b): AZURE_CLIENT_SECRET: environment variable NOT_SET is not set',
        'tenant 2 (b): LOG_LEVEL: applies to the whole process; set it in the environment',
        'tenant 2 (b): RATE_LIMITS: "x" does not have the form max/duration, such as 100/1m (units: ms, s, m, h, d)',
        'tenant 3 (c): CONCURRENCY: must be between 1 and 1000',
        'tenant 4: NO_SUCH: unknown setting',
        'tenant 4: STANDDOWN_TENANT or AZURE_TENANT_ID is required',
        'tenant 5 (b): AZURE_CLIENT_SECRET: not-there cannot be read: ENOENT: no such file or directory',
        'b: listed 2 times',
      ],
    );
  });

  it('shows nothing of a secret that stands where its place should', async (t) => {
    const folder = testFolder(t);
    await writeFile(join(folder, 'secret'), 'hunter2-hunter2');
    const said = await mistakes(t, [
      { ...A, AZURE_CLIENT_SECRET: { env: 'Abc8Q~hunter2-hunter2' } },
      { ...B, CALL_TIMEOUT: { file: join(folder, 'secret') }, AZURE_CLIENT_SECRET: { file: folder } },
    ]);
    assert.doesNotMatch(said.join(), /hunter2/);
    assert.deepEqual(
      said.slice(1).map((line) => line.replace(folder, 'FOLDER')),
      [
        'tenant 1 (a): AZURE_CLIENT_SECRET: the value of "env" is not a variable name',
        'tenant 2 (b): CALL_TIMEOUT: not a secret; write its value as a string',
        'tenant 2 (b): AZURE_CLIENT_SECRET: FOLDER cannot be read: not a regular file',
      ],
    );
  });

  it('takes a byte-order mark, and a path that is set to nothing for one that is not set', async (t) => {
    const path = await fileWith(t, `\ufeff${JSON.stringify([{ ...A, AZURE_CLIENT_CERTIFICATE_PATH: '' }])}`);
    const [only] = await readTenants(path, ENV);
    assert.equal(only?.signIn?.credential.kind, 'secret');
  });

  it('lets a command work for one tenant whatever is wrong with another, and without secrets', async (t) => {
    const TENANTS_FILE = await fileWith(t, [
      {
        ...A,
        AZURE_CLIENT_SECRET: { env: 'NOT_SET' },
        NOTIFY_URL: 'https://hooks.example/',
        NOTIFY_SECRET: { env: 'NOT_SET_EITHER' },
      },
      { ...B, CONCURRENCY: '0', AZURE_CLIENT_SECRET: { file: 'not-there' } },
    ]);
    const config = await chooseConfig({ ...ENV, TENANTS_FILE, STANDDOWN_TENANT: 'a' });
    assert.deepEqual([config.tenant, config.signIn], ['a', null], 'nor does it sign in as somebody else');
    assert.equal(config.signInMissing[0], 'AZURE_CLIENT_SECRET: environment variable NOT_SET is not set');
    assert.equal(config.notify, null);
    await assert.rejects(chooseConfig({ ...ENV, TENANTS_FILE, STANDDOWN_TENANT: 'b' }), /CONCURRENCY/);
  });

  for (const [content, expected] of [
    ['{"AZURE_CLIENT_SECRET": "inline-secret" x', /^TENANTS_FILE: FILE is not valid JSON/],
    ['', /^TENANTS_FILE: FILE is not valid JSON/],
    [{ a: A }, /must be a JSON list/],
    [[], /the file lists no tenants/],
    [[A, 'b'], /tenant 2: not an object/],
    [[{ ...A, CONCURRENCY: 3 }], /CONCURRENCY: must be a string, \{"env"/],
    [[A, { ...B, STANDDOWN_TENANT: 'a' }], /a: listed 2 times/],
    [[A, { ...B, STANDDOWN_TENANT: ' a ' }], /a: listed 2 times/],
    [[A, { ...B, AZURE_TENANT_ID: 'A.EXAMPLE' }], /a, b: the same application in the same Entra tenant/],
  ] as const) {
    it(`is refused: ${JSON.stringify(content)}`, async (t) => {
      const said = (await mistakes(t, content)).join('\n');
      assert.match(said, expected);
      assert.doesNotMatch(said, /inline-secret/);
    });
  }

  it('that is not there is named', async () => {
    await assert.rejects(
      readTenants('/not/there.json', ENV),
      /TENANTS_FILE: \/not\/there.json cannot be read/,
    );
  });

  it('is told of by doctor: what is wrong in it, and that one tenant has to be named', async (t) => {
    const examine = async (content: unknown, env: Environment = {}) => {
      const { findings } = await examineSettings({
        ...ENV,
        TENANTS_FILE: await fileWith(t, content),
        ...env,
      });
      return findings.map(({ level, finding }) => `${level}: ${finding}`);
    };
    const [several] = await examine([A, B]);
    assert.match(several ?? '', /^problem: .* lists more than one tenant$/);
    const [one] = await examine([A, B], { STANDDOWN_TENANT: 'b' });
    assert.match(one ?? '', /^ok: Tenant b: application app in Entra tenant b\.example/);
    const wrong = await examine([A, { ...B, CONCURRENCY: '0', RATE_LIMITS: 'x' }], { STANDDOWN_TENANT: 'b' });
    assert.deepEqual(
      wrong.map((line) => line.replace(/ (?:must|"x").*/, '')),
      ['problem: Tenant 2 (b): RATE_LIMITS:', 'problem: Tenant 2 (b): CONCURRENCY:'],
    );
  });

  it('gives a command one tenant: the one that is named, or the only one', async (t) => {
    const TENANTS_FILE = await fileWith(t, [A, B]);
    const choose = async (env: Environment) => (await chooseConfig({ ...ENV, TENANTS_FILE, ...env })).tenant;
    assert.equal(await choose({ STANDDOWN_TENANT: 'b' }), 'b');
    assert.equal(await choose({}), null);
    assert.equal(await choose({ AZURE_TENANT_ID: 'of-the-environment' }), null);
    await assert.rejects(choose({ STANDDOWN_TENANT: 'c' }), /unknown tenant "c" \(\S+ has a, b\)$/);
    const only = await fileWith(t, [B]);
    assert.equal(await choose({ TENANTS_FILE: only }), 'b');
  });
});
