import { gistOf, type SignIn, SignInError, type Token } from '../defender/sign-in.ts';
import { describeDuration } from '../duration.ts';
import type { Credential } from '../sign-in-config.ts';
import { type Finding, findingsOf } from './finding.ts';

const signInIs = findingsOf('sign-in');

/** Asks for a token; null, and why, where there is none to be had. */
export async function examineSignIn(
  signIn: SignIn,
  kind: Credential['kind'],
  now: () => number,
): Promise<{ token: Token | null; findings: Finding[] }> {
  try {
    const token = await signIn.token();
    // To the full minute, and no longer than it is.
    const left = describeDuration(Math.floor((token.expiresAt - now()) / 60_000) * 60_000);
    return { token, findings: [signInIs.ok({ finding: `there is a token, good for ${left}` })] };
  } catch (error) {
    if (!(error instanceof SignInError)) throw error;
    return { token: null, findings: [judgeFailure(error, kind)] };
  }
}

/** Why there is no token, and what to do. By Entra's number where it gave one, else by what failed on the way there. */
export function judgeFailure(
  { code, message }: Pick<SignInError, 'code' | 'message'>,
  kind: Credential['kind'] = 'secret',
): Finding {
  const number = /AADSTS\d+/.exec(code)?.[0] ?? '';
  const [word = ''] = code.split(' ');
  const cause = /^([a-z_]+): /.exec(message)?.[1] ?? '';
  const ofLogin = kind === 'login' ? OF_LOGIN[word] : undefined;
  const [meaning, advice] =
    ofLogin ??
    (kind === 'managed'
      ? (BY_NUMBER[number] ?? OF_IDENTITY[cause] ?? OF_IDENTITY[word] ?? UNKNOWN_IDENTITY)
      : (BY_NUMBER[number] ?? BY_CODE[cause] ?? BY_CODE[word] ?? UNKNOWN));
  return signInIs.problem({ finding: `no token (${code}): ${gistOf({ code, message })}`, meaning, advice });
}

type Known = readonly [meaning: string, advice: string];

const UNKNOWN: Known = [
  'The sign-in service does not give this application a token.',
  'Look the number up at https://login.microsoftonline.com/error; the sign-in log of the tenant says more.',
];

const SECRETS = 'Certificates & secrets of the app registration';

/** What Entra objects to. https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const BY_NUMBER: Readonly<Record<string, Known>> = {
  AADSTS7000215: [
    'The client secret is not the right one.',
    `Put the secret's value, not its id, into AZURE_CLIENT_SECRET; a value that is lost is replaced by a new secret (${SECRETS}).`,
  ],
  AADSTS7000222: [
    'The client secret has expired.',
    `Make a new one (${SECRETS}) and put it into AZURE_CLIENT_SECRET.`,
  ],
  AADSTS7000216: [
    'No credential arrived at the sign-in service.',
    'Set AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH.',
  ],
  AADSTS700016: [
    'The tenant has no such application.',
    'Correct AZURE_CLIENT_ID or AZURE_TENANT_ID; in another tenant than its own, an administrator has to consent to it first.',
  ],
  AADSTS7000218: [
    'The application may not be used by a user alone, without its own credential.',
    'Allow public client flows under Authentication of the app registration.',
  ],
  AADSTS65001: [
    'Nobody has consented to what the application asks for.',
    'Add delegated permissions of WindowsDefenderATP to the app registration, and grant admin consent.',
  ],
  AADSTS7000112: ['The application is disabled.', 'Enable it under Enterprise applications.'],
  AADSTS7000229: [
    'The application is not present in the tenant.',
    'Let an administrator of the tenant consent to it.',
  ],
  AADSTS90002: ['There is no such tenant in this cloud.', 'Correct AZURE_TENANT_ID, or DEFENDER_CLOUD.'],
  AADSTS900023: ['The tenant id is none.', 'Correct AZURE_TENANT_ID: a GUID, or a domain of the tenant.'],
  AADSTS500011: [
    'The tenant does not know the API that the scope names.',
    'Take DEFENDER_SCOPE out, or correct DEFENDER_CLOUD; a tenant without Defender for Endpoint does not know it at all.',
  ],
  AADSTS650052: [
    'The tenant has no subscription for Defender for Endpoint.',
    'Check AZURE_TENANT_ID and the licences of the tenant.',
  ],
  AADSTS1002012: [
    'The scope is none for an application.',
    'Take DEFENDER_SCOPE out, or let it end in /.default.',
  ],
  AADSTS70011: ['The scope is not valid.', 'Take DEFENDER_SCOPE out, or let it end in /.default.'],
  AADSTS700027: [
    'The certificate is not one of the application, or its signature is wrong.',
    `Upload the certificate (its public part) under ${SECRETS}.`,
  ],
  AADSTS700024: [
    'What was signed is not valid at this time.',
    "Set this machine's clock right (NTP); a federated token that has expired has to be renewed by whoever writes its file.",
  ],
  AADSTS700211: [
    'The application trusts no such issuer of federated tokens.',
    `Add the issuer under federated credentials (${SECRETS}).`,
  ],
  AADSTS700212: [
    'The federated token is meant for somebody else.',
    'Let it be issued for the audience api://AzureADTokenExchange.',
  ],
  AADSTS700213: [
    'The application trusts the issuer of the federated token, but not its subject.',
    `Correct the subject under federated credentials (${SECRETS}).`,
  ],
  AADSTS53003: [
    'Conditional Access blocks the application.',
    'Exempt it from the policy, or run from a place that the policy allows.',
  ],
  AADSTS90033: [
    'The sign-in service is in trouble for the moment.',
    'Try again; a worker does so by itself.',
  ],
};

const BY_CODE: Readonly<Record<string, Known>> = {
  network_error: [
    'The sign-in service cannot be reached.',
    'Check AZURE_AUTHORITY_HOST, DNS, HTTPS_PROXY and the firewall; a certificate authority of your own is named in NODE_EXTRA_CA_CERTS, in the environment.',
  ],
  request_timeout: [
    'The sign-in service does not answer in time.',
    'Check HTTPS_PROXY and the firewall, and try again.',
  ],
  unreadable_answer: [
    'Something else than the sign-in service answers.',
    'Check AZURE_AUTHORITY_HOST and HTTPS_PROXY.',
  ],
  credential_unreadable: [
    'The application cannot prove who it is.',
    'AZURE_CLIENT_CERTIFICATE_PATH must name a PEM file with a private key and its certificate, AZURE_CLIENT_CERTIFICATE_PASSWORD the password of an encrypted key; AZURE_FEDERATED_TOKEN_FILE a file with one token.',
  ],
  endpoints_resolution_error: [
    'The sign-in service does not describe itself: there is no such tenant, or it is no sign-in service.',
    'Correct AZURE_TENANT_ID and AZURE_AUTHORITY_HOST.',
  ],
};

const AGAIN = 'Run "standdown login".';

/** What becomes of a login. */
const OF_LOGIN: Readonly<Record<string, Known>> = {
  login_needed: ['Nobody is logged in, or the login has ended: a worker holds until somebody is.', AGAIN],
  login_busy: ['Another process is signing in for a long time.', 'Try again; a worker does so by itself.'],
  login_unusable: [
    'The login is kept in the data folder, and nothing else than its owner may be in the way.',
    'Check the rights and the room in STANDDOWN_DATA_DIR.',
  ],
  authorization_declined: ['The user, or a policy of the tenant, said no.', AGAIN],
  access_denied: ['The user, or a policy of the tenant, said no.', AGAIN],
  expired_token: ['A code is good for some minutes only.', AGAIN],
  device_code_expired: ['A code is good for some minutes only.', AGAIN],
  bad_verification_code: ['It was used before, or has ended.', AGAIN],
};

const UNKNOWN_IDENTITY: Known = [
  'The platform gives no token for this identity.',
  'Give the machine or app the identity that AZURE_MANAGED_IDENTITY names: system, or the client id of one that is assigned to it.',
];

const NO_ENDPOINT: Known = [
  'Nobody hands out tokens of a managed identity here: this is no machine of Azure, or none that has one.',
  'Run it where Azure gives it an identity, or sign in in another way: take AZURE_MANAGED_IDENTITY out.',
];

/** What the platform's endpoint objects to, or why it is not reached. */
const OF_IDENTITY: Readonly<Record<string, Known>> = {
  network_error: NO_ENDPOINT,
  request_timeout: NO_ENDPOINT,
  unreadable_answer: [
    "Something else than the platform's endpoint answers.",
    'Check IDENTITY_ENDPOINT in the environment: Azure sets it.',
  ],
};
