import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ServerCertificate {
  /** PEM, as the key is. */
  cert: string;
  key: string;
}

/** A self-signed certificate for localhost and 127.0.0.1. It is its own authority, so clients can be told to trust just it. */
export async function makeServerCertificate(): Promise<ServerCertificate> {
  // More than 200 modules, for who has no certificate yet.
  const { generate } = await import('selfsigned');
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    // An elliptic curve: a key in milliseconds.
    keyType: 'ec',
    algorithm: 'sha256',
    // An hour back, for clients whose clock is behind.
    notBeforeDate: new Date(Date.now() - 3_600_000),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}

export interface CaFile {
  path: string;
  remove(): Promise<void>;
}

/** Writes the certificate, never the key. The name holds the port, so that simulators can share a folder. */
export async function writeCaFile(dir: string, port: number, cert: string): Promise<CaFile> {
  await mkdir(dir, { recursive: true });
  const path = join(dir, `simulator-ca-${port}.pem`);
  // selfsigned gives none, and two files that are put together would run into each other.
  await writeFile(path, `${cert.trimEnd()}\n`);
  return { path, remove: () => rm(path, { force: true }) };
}
