import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Redis } from 'ioredis';
import { generate, type SelfsignedOptions } from 'selfsigned';
import { testFolder } from '../store/redis/support/machine.ts';
import { startRedis } from '../store/redis/support/plain-redis.ts';
import { aclFile, type Role, type Rules } from './acl.ts';

/** A Redis as one that is reached over a network should be: TLS only, no default user, one user for each role. */
export interface SecuredRedis {
  folder: string;
  /** REDIS_URL of a role. */
  url(role: Role): string;
  passwordOf(role: Role): string;
  /** May do everything. */
  admin: Redis;
  /** The certificate of the authority that signed the server's. */
  authority: string;
  /** What was refused to anybody since the last time, one line each. */
  refusals(): Promise<string[]>;
}

export interface SecuredParams {
  rules: Rules;
  tenant: string;
}

export async function startSecuredRedis(
  t: TestContext,
  { rules, tenant }: SecuredParams,
): Promise<SecuredRedis> {
  const folder = testFolder(t);
  const passwords = new Map<string, string>();
  const passwordOf = (user: string) => {
    const password = passwords.get(user) ?? randomBytes(24).toString('hex');
    passwords.set(user, password);
    return password;
  };
  const pems = await makeCertificates();
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const users = join(folder, 'users.acl');
  const secret = { mode: 0o600 };
  await writeFile(files.ca, pems.authority);
  await writeFile(files.cert, pems.cert);
  await writeFile(files.key, pems.key, secret);
  const root = `user admin on >${passwordOf('admin')} ~* &* +@all\n`;
  await writeFile(users, root + aclFile(rules, tenant, passwordOf), secret);
  const { admin, port } = await startRedis(t, {
    folder,
    args: [
      '--tls-port',
      ...['--tls-ca-cert-file', files.ca, '--tls-cert-file', files.cert, '--tls-key-file', files.key],
      ...['--tls-auth-clients', 'no', '--aclfile', users, '--appendonly', 'yes'],
    ],
    admin: {
      username: 'admin',
      password: passwordOf('admin'),
      tls: { ca: pems.authority, servername: 'localhost' },
    },
  });
  return {
    folder,
    admin,
    passwordOf,
    url: (role) => `rediss://standdown-${role}:${passwordOf(role)}@localhost:${port}`,
    authority: pems.authority,
    refusals: async () => {
      const entries = (await admin.call('ACL', 'LOG', '100')) as unknown[][];
      await admin.call('ACL', 'LOG', 'RESET');
      return entries.map((entry) => describeRefusal(entry));
    },
  };
}

function describeRefusal(entry: readonly unknown[]): string {
  const field = (name: string) => String(entry[entry.indexOf(name) + 1]);
  return `${field('username')}: ${field('reason')} ${field('object')} (${field('context')})`;
}

/** An authority of our own, and a certificate for localhost from it. */
async function makeCertificates() {
  const common: SelfsignedOptions = { keyType: 'ec', algorithm: 'sha256' };
  const authority = await generate([{ name: 'commonName', value: 'Test authority of Redis' }], {
    ...common,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...common,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  });
  assert.notEqual(server.cert, authority.cert);
  return { authority: authority.cert, cert: server.cert, key: server.private };
}
