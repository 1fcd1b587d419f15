import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { generate } from 'selfsigned';

/** What an application proves itself with. */
export interface Credential {
  certificate: string;
  key: string;
  /** Both, as a worker reads them. */
  pem: string;
}

export async function makeCredential(): Promise<Credential> {
  const made = await generate([{ name: 'commonName', value: 'worker' }], {
    keySize: 2_048,
    algorithm: 'sha256',
  });
  return { certificate: made.cert, key: made.private, pem: `${made.private}\n${made.cert}\n` };
}

/** An issuer that the application trusts, such as a Kubernetes cluster. */
export function makeIssuer() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const issuer = 'https://cluster.example';
  const subject = 'system:serviceaccount:standdown:worker';
  return {
    federation: { issuer, subject, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() },
    /** A token that ends in so many seconds. */
    token: (seconds: number, sub = subject): Promise<string> => {
      const now = Math.floor(Date.now() / 1_000);
      return new SignJWT({ iss: issuer, sub, aud: 'api://AzureADTokenExchange', exp: now + seconds })
        .setProtectedHeader({ alg: 'RS256' })
        .setIssuedAt(now - 3_600)
        .sign(privateKey);
    },
  };
}
