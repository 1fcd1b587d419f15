import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Configuration } from '@azure/msal-node';
import { messageOf, unreachable } from '../base/errors.ts';
import { remember } from '../base/secret.ts';
import type { ClientCredential } from '../config/sign-in.ts';

/** Why the application cannot even ask for a token. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
  readonly code = 'credential_unreadable';
}

/** Both the key, encrypted by a password that it asks for, and the certificates. */
const CONVERT = 'convert it: openssl pkcs12 -in FILE.pfx -out FILE.pem';

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
      return { clientCertificate: await readCertificate(credential) };
    case 'federated':
      return { clientAssertion: await readAssertion(credential.path) };
    default:
      return unreachable(credential);
  }
}

type CertificateFile = Extract<ClientCredential, { kind: 'certificate' }>;

async function readCertificate({ path, password }: CertificateFile) {
  const pem = await readPem(path);
  try {
    if (pem.isPfx) throw new Error(`not a PEM file; if it is a PFX (.pfx, .p12), ${CONVERT}`);
    if (pem.certificates.length === 0) throw new Error('it contains no certificate');
    if (!pem.key) throw new Error('it contains no private key');
    const key = openKey(pem.key, password);
    if (key.asymmetricKeyType !== 'rsa')
      throw new Error('its private key is not an RSA key, which Entra requires');
    const certificates = pem.certificates.map((text) => new X509Certificate(text));
    // The chain begins with it, wherever it stands in the file.
    const own = certificates.find((certificate) => certificate.checkPrivateKey(key));
    if (!own) throw new Error('its private key does not match its certificate');
    const chain = [own, ...certificates.filter((certificate) => certificate !== own)];
    const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const text of [pem.key, privateKey]) remember(text);
    return {
      thumbprintSha256: own.fingerprint256.replaceAll(':', ''),
      privateKey,
      x5c: chain.map(String).join('\n'),
    };
  } catch (cause) {
    throw new CredentialError(`cannot use the certificate file ${path}: ${messageOf(cause)}`, { cause });
  }
}

function openKey(pem: string, password: CertificateFile['password']): KeyObject {
  if (!pem.includes('ENCRYPTED')) return createPrivateKey(pem);
  if (password === null)
    throw new Error('its private key is encrypted; set AZURE_CLIENT_CERTIFICATE_PASSWORD to its password');
  try {
    return createPrivateKey({ key: pem, passphrase: password.reveal() });
  } catch (cause) {
    const message = `AZURE_CLIENT_CERTIFICATE_PASSWORD does not decrypt its private key (${messageOf(cause)})`;
    throw new Error(message, { cause });
  }
}

/** When the certificate ends, in ms since 1970; null where it cannot be read: signing in says why. */
export async function certificateEnd(file: CertificateFile): Promise<number | null> {
  try {
    return Date.parse(new X509Certificate((await readCertificate(file)).x5c).validTo);
  } catch {
    return null;
  }
}

/** The log leaves out whatever looks like a token: it need not be told of each. */
async function readAssertion(path: string): Promise<string> {
  const text = (await readText(path, 'federated token')).trim();
  if (/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return text;
  throw new CredentialError(`cannot use the federated token file ${path}: it contains no token`);
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CredentialError(`cannot read the ${what} file: ${messageOf(cause)}`, { cause });
  }
}

async function readPem(
  path: string,
): Promise<{ key: string | undefined; certificates: string[]; isPfx: boolean }> {
  const text = await readText(path, 'certificate');
  const blocks = text.match(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g) ?? [];
  return {
    // DER begins with a sequence's tag and a length, which is no text.
    isPfx: text.startsWith('0\ufffd'),
    key: blocks.find((block) => block.includes('PRIVATE KEY-----')),
    certificates: blocks.filter((block) => block.startsWith('-----BEGIN CERTIFICATE-----')),
  };
}
