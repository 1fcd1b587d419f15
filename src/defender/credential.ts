import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Configuration } from '@azure/msal-node';
import { messageOf, unreachable } from '../errors.ts';
import { remember } from '../secret.ts';
import type { ClientCredential } from '../sign-in-config.ts';

/** Why the application cannot even ask for a token. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
  readonly code = 'credential_unreadable';
}

type MsalCredential = Pick<Configuration['auth'], 'clientSecret' | 'clientCertificate' | 'clientAssertion'>;

/**
 * Reads the credential as msal wants it; a file afresh at each call, so that it can be replaced while a worker runs.
 *
 * @throws CredentialError
 */
export async function readCredential(credential: ClientCredential): Promise<MsalCredential> {
  switch (credential.kind) {
    case 'secret':
      return { clientSecret: credential.secret.reveal() };
    case 'certificate':
      return { clientCertificate: await readCertificate(credential.path) };
    case 'federated':
      return { clientAssertion: await readAssertion(credential.path) };
    default:
      return unreachable(credential);
  }
}

async function readCertificate(path: string) {
  const pem = await readPem(path);
  try {
    if (pem.certificates.length === 0) throw new Error('it holds no certificate');
    if (!pem.key) throw new Error('it holds no private key');
    if (pem.key.includes('ENCRYPTED')) throw new Error('its private key is encrypted');
    const key = createPrivateKey(pem.key);
    if (key.asymmetricKeyType !== 'rsa')
      throw new Error('its private key is none of RSA, which Entra asks for');
    const certificates = pem.certificates.map((text) => new X509Certificate(text));
    // The chain begins with it, wherever it stands in the file.
    const own = certificates.find((certificate) => certificate.checkPrivateKey(key));
    if (!own) throw new Error('its key and certificate do not belong together');
    const chain = [own, ...certificates.filter((certificate) => certificate !== own)];
    remember(pem.key);
    return {
      thumbprintSha256: own.fingerprint256.replaceAll(':', ''),
      privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      x5c: chain.map(String).join('\n'),
    };
  } catch (cause) {
    throw new CredentialError(`the certificate file ${path} cannot be used: ${messageOf(cause)}`, { cause });
  }
}

/** When the certificate ends, in ms since 1970; null where it cannot be read: signing in says why. */
export async function certificateEnd(path: string): Promise<number | null> {
  try {
    return Date.parse(new X509Certificate((await readCertificate(path)).x5c).validTo);
  } catch {
    return null;
  }
}

/** The log leaves out whatever looks like a token: it need not be told of each. */
async function readAssertion(path: string): Promise<string> {
  const text = (await readText(path, 'federated token')).trim();
  if (/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return text;
  throw new CredentialError(`the federated token file ${path} cannot be used: it holds no token`);
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CredentialError(`the ${what} file cannot be read: ${messageOf(cause)}`, { cause });
  }
}

async function readPem(path: string): Promise<{ key: string | undefined; certificates: string[] }> {
  const text = await readText(path, 'certificate');
  const blocks = text.match(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g) ?? [];
  return {
    key: blocks.find((block) => block.includes('PRIVATE KEY-----')),
    certificates: blocks.filter((block) => block.startsWith('-----BEGIN CERTIFICATE-----')),
  };
}
