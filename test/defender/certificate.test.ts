import assert from 'node:assert/strict';
import { createHash, createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { generate } from 'selfsigned';
import type { Finding } from '../../src/ops/doctor/finding.ts';
import { runCommand } from '../support/command.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { type SignInTap, startSignInTap } from '../support/sign-in-tap.ts';
import { type LocalSimulator, startLocalSimulator } from '../support/simulator.ts';
import { newLabel } from '../support/tenant.ts';

interface Made {
  cert: string;
  private: string;
}

const signer = {
  algorithm: 'sha256',
  keySize: 2_048,
  extensions: [{ name: 'basicConstraints' as const, cA: true, critical: true }],
};

function make(name: string, issuer?: Made, options: object = signer): Promise<Made> {
  const ca = issuer && { key: issuer.private, cert: issuer.cert };
  return generate([{ name: 'commonName', value: name }], { ...options, ...(ca && { ca }) });
}

describe('a certificate with its chain', () => {
  const folder = join(TEST_DIR, 'certificates', newLabel());
  let server: TestRedis;
  let simulator: LocalSimulator;
  let tap: SignInTap;
  let [root, middle, leaf, stranger]: Made[] = [];

  before(async () => {
    server = await openTestRedis();
    await server.connect();
    await mkdir(folder, { recursive: true });
    root = await make('root');
    middle = await make('middle', root);
    leaf = await make('worker', middle, { algorithm: 'sha256', keySize: 2_048 });
    stranger = await make('stranger', undefined, { algorithm: 'sha256', keySize: 2_048 });
    // No certificate of the application itself is known there: only one that comes with its chain is taken.
    simulator = await startLocalSimulator('100/1m,1500/1h', { clientAuthority: root.cert });
    tap = await startSignInTap();
    tap.lead(simulator.authorityUrl, await readFile(simulator.caFile, 'utf8'));
    await writeFile(join(folder, 'tap.pem'), tap.authority);
  });
  after(async () => {
    await simulator.stop();
    await tap.close();
    await rm(folder, { recursive: true, force: true });
    await server.close();
  });

  async function examine(pem: string | Buffer, password = '') {
    const path = join(folder, newLabel());
    await writeFile(path, pem, { mode: 0o600 });
    const { AZURE_CLIENT_SECRET: _, ...rest } = simulator.settings;
    const { code, stdout } = await runCommand(['doctor', '--json'], {
      env: {
        ...rest,
        REDIS_URL: server.url,
        AZURE_CLIENT_CERTIFICATE_PATH: path,
        AZURE_CLIENT_CERTIFICATE_PASSWORD: password,
        AZURE_AUTHORITY_HOST: tap.url,
        NODE_EXTRA_CA_CERTS: join(folder, 'tap.pem'),
      },
    });
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    assert.doesNotMatch(stdout, /PRIVATE KEY/);
    assert.ok(password === '' || !stdout.includes(password));
    return { code, signIn: findings.find(({ check }) => check === 'sign-in') };
  }

  it('is sent with SHA-256 thumbprint and chain, signed by PS256, for minutes', async () => {
    assert.ok(middle && leaf);
    const { code, signIn } = await examine(leaf.private + leaf.cert + middle.cert);
    assert.equal(code, 0, JSON.stringify(signIn));
    const [assertion, ...others] = tap.seen.assertions;
    assert.ok(assertion && others.length === 0);
    const der = [leaf.cert, middle.cert].map((pem) => new X509Certificate(pem).raw);
    const { alg, x5c, 'x5t#S256': x5tS256, x5t } = decodeProtectedHeader(assertion);
    assert.deepEqual(
      { alg, x5c, x5tS256, x5t },
      {
        alg: 'PS256',
        x5c: der.map((bytes) => bytes.toString('base64')),
        x5tS256: createHash('sha256')
          .update(der[0] ?? '')
          .digest('base64url'),
        x5t: undefined,
      },
    );
    const { iss, sub, aud, exp = 0, nbf = 0 } = decodeJwt(assertion);
    assert.deepEqual([iss, sub], [simulator.clientId, simulator.clientId]);
    assert.match(String(aud), new RegExp(`/${simulator.tenantId}/oauth2/v2\\.0/token$`));
    assert.equal(exp - nbf, 600);
  });

  it('may stand in any order in its file', async () => {
    assert.ok(middle && leaf);
    assert.equal((await examine(middle.cert + leaf.cert + leaf.private)).code, 0);
  });

  it('is refused without its chain, or by another authority', async () => {
    assert.ok(leaf && stranger && middle);
    for (const pem of [leaf.private + leaf.cert, stranger.private + stranger.cert + middle.cert]) {
      const { code, signIn } = await examine(pem);
      assert.equal(code, 1);
      assert.match(signIn?.finding ?? '', /AADSTS700027/);
    }
  });

  it('whose key cannot be used is not sent, and said to be so', async () => {
    assert.ok(leaf && stranger);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const encrypted = privateKey
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
      .toString();
    const elliptic = await make('elliptic', undefined, { algorithm: 'sha256', keyType: 'ec' });
    const seen = tap.seen.assertions.size;
    for (const [pem, says] of [
      [encrypted + leaf.cert, /its private key is encrypted; set AZURE_CLIENT_CERTIFICATE_PASSWORD/],
      [Buffer.from('3082', 'hex'), /if it is a PFX .*openssl pkcs12 -in FILE.pfx -out FILE.pem/],
      [elliptic.private + elliptic.cert, /is not an RSA key/],
      [stranger.private + leaf.cert, /does not match its certificate/],
      [leaf.cert, /contains no private key/],
      [leaf.private, /contains no certificate/],
    ] as const) {
      const { code, signIn } = await examine(pem);
      assert.equal(code, 1);
      assert.match(signIn?.finding ?? '', /^Sign-in failed \(credential_unreadable\)/);
      assert.match(signIn?.finding ?? '', says);
    }
    const { signIn } = await examine(encrypted + leaf.cert, 'another password');
    assert.match(signIn?.finding ?? '', /AZURE_CLIENT_CERTIFICATE_PASSWORD does not decrypt its private key/);
    assert.equal(tap.seen.assertions.size, seen);
  });

  it('whose key is encrypted is used by its password, in the forms that openssl writes', async () => {
    assert.ok(leaf && middle);
    const key = createPrivateKey(leaf.private);
    for (const type of ['pkcs8', 'pkcs1'] as const) {
      const options = { type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'the password' } as const;
      const pem = `Bag Attributes\n    friendlyName: x\n${key.export(options)}${leaf.cert}${middle.cert}`;
      const { code, signIn } = await examine(pem, 'the password');
      assert.equal(code, 0, JSON.stringify(signIn));
    }
  });
});
