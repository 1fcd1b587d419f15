import { generateKeyPair, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { makeServerCertificate, type ServerCertificate } from '../../src/simulator/certificate.ts';
import { TEST_DIR } from './folders.ts';

/** The certificate is valid for a year. */
const RENEW_AFTER_MS = 7 * 24 * 3_600_000;

const FILE = join(TEST_DIR, 'simulator-keys.json');

export interface SimulatorKeys {
  certificate: ServerCertificate;
  signingKey: string;
}

let shared: Promise<SimulatorKeys> | undefined;

/**
 * The keys of all simulators that this process starts, kept from one run to the next: to make them takes longer than
 * everything else a simulator does to start. Nor could simulators with certificates of their own be trusted side by side in
 * one process: the certificates have the same name.
 */
export function sharedKeys(): Promise<SimulatorKeys> {
  shared ??= keptKeys();
  return shared;
}

async function keptKeys(): Promise<SimulatorKeys> {
  const kept = await stat(FILE).catch(() => null);
  if (kept && Date.now() - kept.mtimeMs < RENEW_AFTER_MS) return JSON.parse(await readFile(FILE, 'utf8'));
  const { privateKey: signingKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const made = { certificate: await makeServerCertificate(), signingKey };
  await mkdir(TEST_DIR, { recursive: true });
  // Test files start together. Each goes on with the keys it made; the last ones to be written are kept.
  const part = `${FILE}.${randomBytes(6).toString('hex')}`;
  await writeFile(part, JSON.stringify(made), { mode: 0o600 });
  await rename(part, FILE);
  return made;
}

/** With how many trust each for now. */
const trusted = new Map<string, number>();

/**
 * Does for this process what NODE_EXTRA_CA_CERTS does for one that starts, and trusts nobody else: no test goes anywhere else, and to read
 * the 150 usual authorities again takes longer than to start a simulator.
 *
 * @returns ends it, where nobody else still trusts the same.
 */
export function trust(authority: string): () => void {
  count(authority, 1);
  return () => count(authority, -1);
}

function count(authority: string, change: number): void {
  const before = trusted.get(authority) ?? 0;
  const now = before + change;
  if (now === 0) trusted.delete(authority);
  else trusted.set(authority, now);
  if (before === 0 || now === 0) tls.setDefaultCACertificates([...trusted.keys()]);
}
