import { describeDuration } from '../../base/duration.ts';
import type { Config } from '../../config/config.ts';
import type { Credential } from '../../config/sign-in.ts';
import { certificateEnd } from '../../defender/credential.ts';
import { exposureOf, exposureOfFile } from '../../defender/credential-file.ts';
import { type Finding, findingsOf } from './finding.ts';

const settings = findingsOf('settings');

/** Whether the file with the private key, or with a user's login, is kept from others, and how long a certificate is good. */
export async function examineCredential({ signIn }: Config, now = Date.now()): Promise<Finding[]> {
  if (signIn === null) return [];
  const findings = [await judgeExposure(signIn.credential), await judgeEnd(signIn.credential, now)];
  return findings.filter((finding) => finding !== null);
}

/** Whether the file with the settings is kept from others. */
export async function examineEnvFile(path: string | null): Promise<Finding[]> {
  const exposed = path === null ? null : await exposureOfFile(path, 'the settings');
  if (!exposed) return [];
  return [
    settings.warning({
      finding: exposed.finding,
      meaning: 'Anyone with a copy of a secret in it can use that secret.',
      advice: `Run: ${exposed.advice}. If others had access to this machine, also replace the secrets in it.`,
    }),
  ];
}

async function judgeExposure(credential: Credential): Promise<Finding | null> {
  const exposed = await exposureOf(credential);
  if (!exposed) return null;
  const [file, who, remedy] =
    credential.kind === 'login'
      ? ['login', 'user', "revoke the user's sessions in Entra"]
      : ['key', 'application', 'replace the certificate'];
  return settings.warning({
    finding: exposed.finding,
    meaning: `Anyone with a copy of the ${file} can cancel everything that the ${who} can, from anywhere.`,
    advice: `Run: ${exposed.advice}. If others had access to this machine, also ${remedy}.`,
  });
}

/** A certificate that ends within this time should be replaced by now. */
const SOON_MS = 30 * 86_400_000;

async function judgeEnd(credential: Credential, now: number): Promise<Finding | null> {
  if (credential.kind !== 'certificate') return null;
  const endsAt = await certificateEnd(credential);
  if (endsAt === null || endsAt - now > SOON_MS) return null;
  const advice = `Create a new one, upload its public part to the app registration, and save it as ${credential.path}. No restart is needed.`;
  if (endsAt <= now)
    return settings.problem({
      finding: `The certificate in ${credential.path} expired on ${new Date(endsAt).toISOString()}`,
      meaning: 'The sign-in service rejects it, so workers cannot sign in.',
      advice,
    });
  return settings.warning({
    finding: `The certificate in ${credential.path} expires in ${describeDuration(endsAt - now)}`,
    meaning: 'After that, workers cannot sign in.',
    advice,
  });
}
