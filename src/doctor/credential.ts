import type { Config } from '../config.ts';
import { certificateEnd } from '../defender/credential.ts';
import { exposureOf } from '../defender/credential-file.ts';
import { describeDuration } from '../duration.ts';
import type { Credential } from '../sign-in-config.ts';
import { type Finding, findingsOf } from './finding.ts';

const settings = findingsOf('settings');

/** Whether the file with the private key, or with a user's login, is kept from others, and how long a certificate is good. */
export async function examineCredential({ signIn }: Config, now = Date.now()): Promise<Finding[]> {
  if (signIn === null) return [];
  const findings = [await judgeExposure(signIn.credential), await judgeEnd(signIn.credential, now)];
  return findings.filter((finding) => finding !== null);
}

async function judgeExposure(credential: Credential): Promise<Finding | null> {
  const exposed = await exposureOf(credential);
  if (!exposed) return null;
  const [who, remedy] =
    credential.kind === 'login'
      ? ['the user', "revoke the user's sessions in Entra"]
      : ['the application', 'replace the certificate'];
  return settings.warning({
    finding: exposed.finding,
    meaning: `Who has it can cancel whatever ${who} may, from anywhere.`,
    advice: `${exposed.advice}; if others were on this machine, ${remedy}, too.`,
  });
}

/** A certificate that ends within this time should be replaced by now. */
const SOON_MS = 30 * 86_400_000;

async function judgeEnd(credential: Credential, now: number): Promise<Finding | null> {
  if (credential.kind !== 'certificate') return null;
  const endsAt = await certificateEnd(credential);
  if (endsAt === null || endsAt - now > SOON_MS) return null;
  const advice = `Make a new one, upload its public part, and put it into ${credential.path}: it is read afresh.`;
  if (endsAt <= now)
    return settings.problem({
      finding: `the certificate in ${credential.path} ended on ${new Date(endsAt).toISOString()}`,
      meaning: 'The sign-in service takes nothing that is signed with it.',
      advice,
    });
  return settings.warning({
    finding: `the certificate in ${credential.path} ends in ${describeDuration(endsAt - now)}`,
    meaning: 'After that no token is to be had, and workers hold.',
    advice,
  });
}
