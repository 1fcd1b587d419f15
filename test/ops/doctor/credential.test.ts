import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { generate } from 'selfsigned';
import { readConfig } from '../../../src/config/config.ts';
import { examineCredential } from '../../../src/ops/doctor/credential.ts';
import { runCommand } from '../../support/command.ts';
import { TEST_DIR } from '../../support/redis.ts';

const MODES: [mode: number, isExposed: boolean][] = [
  [0o600, false],
  [0o400, false],
  [0o640, true],
  [0o604, true],
  [0o644, true],
  [0o660, true],
];

describe('the file with the private key', () => {
  const folder = join(TEST_DIR, `credential-${randomBytes(4).toString('hex')}`);
  const path = join(folder, 'application.pem');
  const env = { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'a', AZURE_CLIENT_CERTIFICATE_PATH: path };

  before(async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(path, 'no key');
  });
  after(() => rm(folder, { recursive: true }));

  for (const [mode, isExposed] of MODES) {
    it(`with mode ${mode.toString(8)} is ${isExposed ? 'not ' : ''}kept from others`, async () => {
      await chmod(path, mode);
      const findings = await examineCredential(readConfig(env));
      assert.equal(findings.length, isExposed ? 1 : 0);
      for (const { level, finding, advice } of findings) {
        assert.equal(level, 'warning');
        assert.equal(finding, `Other users can read the private key in ${path} (mode ${mode.toString(8)})`);
        assert.match(advice, /^Run: chmod 600 \S+application\.pem\. /);
      }
    });
  }

  for (const [days, level, says] of [
    [31, null, null],
    [29, 'warning', /expires in 2\d d/],
    [-1, 'problem', /expired on \d{4}-/],
  ] as const) {
    it(`with a certificate that ends in ${days} days ${level ? `is a ${level}` : 'is in order'}`, async () => {
      const end = Date.now() + days * 86_400_000;
      const made = await generate([{ name: 'commonName', value: 'worker' }], {
        keySize: 2_048,
        algorithm: 'sha256',
        notBeforeDate: new Date(end - 90 * 86_400_000),
        notAfterDate: new Date(end),
      });
      await writeFile(path, made.private + made.cert);
      await chmod(path, 0o600);
      const [found, ...others] = await examineCredential(readConfig(env));
      assert.deepEqual([found?.level ?? null, others], [level, []]);
      if (says) assert.match(found?.finding ?? '', says);
    });
  }

  it('that is not there, or a secret in its place, is no matter of rights', async () => {
    const gone = { ...env, AZURE_CLIENT_CERTIFICATE_PATH: `${path}.gone` };
    assert.deepEqual(await examineCredential(readConfig(gone)), []);
    const { AZURE_CLIENT_CERTIFICATE_PATH: _, ...rest } = env;
    assert.deepEqual(await examineCredential(readConfig({ ...rest, AZURE_CLIENT_SECRET: 'secret' })), []);
  });

  it('is spoken of in one line by a worker that starts, and by the doctor', async () => {
    await chmod(path, 0o644);
    const away = { ...env, REDIS_URL: 'redis://127.0.0.1:1' };
    const worker = await runCommand(['worker'], { env: away });
    const [line, ...others] = worker.stderr.trim().split('\n');
    assert.deepEqual(JSON.parse(line ?? '').level, 'warn');
    assert.match(line ?? '', /other users can read the private key in \S+ \(mode 644\); run chmod 600 /);
    assert.match(others.join('\n'), /^standdown: cannot use Redis at [^\n]*$/);
    const doctor = await runCommand(['doctor'], { env: away });
    assert.match(doctor.stdout, /warning +settings +Other users can read the private key/);
  });
});
