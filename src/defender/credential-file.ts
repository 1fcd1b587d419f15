import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import type { Credential } from '../config/sign-in.ts';

export interface Exposure {
  /** Without a full stop. */
  finding: string;
  advice: string;
}

/** Whether others may read the file with the private key, or with a user's login; null: no, or there is none to look at. */
export async function exposureOf(credential: Credential): Promise<Exposure | null> {
  if (credential.kind !== 'certificate' && credential.kind !== 'login') return null;
  return exposureOfFile(credential.path, credential.kind === 'login' ? 'the login' : 'the private key');
}

/**
 * The same of any file with a secret. As ssh judges its keys: our own file is for us alone, and one of another owner, who gave it to us
 * by its group, at least not for everybody.
 *
 * @param what of it others could read.
 */
export async function exposureOfFile(path: string, what: string): Promise<Exposure | null> {
  if (process.platform === 'win32') return null;
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) return null; // Who reads it says what is the matter; and a pipe has no mode to speak of.
  const isOurs = found.uid === userInfo().uid;
  const mode = found.mode & 0o777;
  if ((mode & (isOurs ? 0o077 : 0o007)) === 0) return null;
  return {
    finding: `other users can read ${what} in ${path} (mode ${mode.toString(8).padStart(3, '0')})`,
    advice: `chmod ${isOurs ? '600' : 'o='} ${path}`,
  };
}
