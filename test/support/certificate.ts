import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import tls from 'node:tls';
import { makeServerCertificate, type ServerCertificate } from '../../src/simulator/certificate.ts';
import { TEST_DIR } from './redis.ts';
import { newLabel } from './tenant.ts';

/** It is valid for a year. */
const RENEW_AFTER_MS = 7 * 24 * 3_600_000;

const FILE = join(TEST_DIR, 'simulator-certificate.json');

let shared: Promise<ServerCertificate> | undefined;

/**
 * The certificate of all simulators that this process starts, kept from one run to the next. Simulators with
 * certificates of their own could not be trusted side by side in one process: the certificates have the same name.
 */
export function sharedCertificate(): Promise<ServerCertificate> {
  shared ??= keptCertificate();
  return shared;
}

async function keptCertificate(): Promise<ServerCertificate> {
  const kept = await stat(FILE).catch(() => null);
  if (kept && Date.now() - kept.mtimeMs < RENEW_AFTER_MS) return JSON.parse(await readFile(FILE, 'utf8'));
  const made = await makeServerCertificate();
  await mkdir(TEST_DIR, { recursive: true });
  // Test files start together. Each goes on with the certificate it made; the last one to be written is kept.
  const part = `${FILE}.${newLabel()}`;
  await writeFile(part, JSON.stringify(made), { mode: 0o600 });
  await rename(part, FILE);
  return made;
}

const AUTHORITIES = tls.getCACertificates('default');
/** With how many trust each for now. */
const trusted = new Map<string, number>();

/**
 * Does for this process what NODE_EXTRA_CA_CERTS does for one that starts.
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
  if (before === 0 || now === 0) tls.setDefaultCACertificates([...AUTHORITIES, ...trusted.keys()]);
}
