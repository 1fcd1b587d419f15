import type { Config } from '../config.ts';
import { exposureOf } from '../defender/credential-file.ts';
import { type Finding, findingsOf } from './finding.ts';

const settings = findingsOf('settings');

/** Whether the file with the private key, or with a user's login, is kept from others; nothing where there is none. */
export async function examineCredential({ signIn }: Config): Promise<Finding[]> {
  const exposed = signIn && (await exposureOf(signIn.credential));
  if (!exposed) return [];
  return [
    settings.warning({
      finding: exposed.finding,
      meaning: 'Who has it can cancel whatever the application may, from anywhere.',
      advice: `${exposed.advice}; if others were on this machine, ${signIn.credential.kind === 'login' ? "revoke the user's sessions in Entra" : 'replace the certificate'}, too.`,
    }),
  ];
}
