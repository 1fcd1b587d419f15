import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import type { Credential } from '../sign-in-config.ts';

export interface Exposure {
  /** Without a full stop. */
  finding: string;
  advice: string;
}

/**
 * Whether others may read the file with the private key, or with a user's login; null: no, or there is none to look at. As ssh judges its keys:
 * our own file is for us alone, and one of another owner, who gave it to us by its group, at least not for everybody.
 */
export async function exposureOf(credential: Credential): Promise<Exposure | null> {
  if (credential.kind !== 'certificate' && credential.kind !== 'login') return null;
  if (process.platform === 'win32') return null;
  const { path } = credential;
  const found = await stat(path).catch(() => null);
  if (found === null) return null; // Who reads it says what is the matter.
  const isOurs = found.uid === userInfo().uid;
  const mode = found.mode & 0o777;
  if ((mode & (isOurs ? 0o077 : 0o007)) === 0) return null;
  return {
    finding: `other users can read ${credential.kind === 'login' ? 'the login' : 'the private key'} in ${path} (mode ${mode.toString(8).padStart(3, '0')})`,
    advice: `chmod ${isOurs ? '600' : 'o='} ${path}`,
  };
}
