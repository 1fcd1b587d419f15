import { describeDuration } from '../../base/duration.ts';
import { PROXY_PASSWORD } from '../../config/proxy.ts';
import type { Credential } from '../../config/sign-in.ts';
import { PROXY_AUTH_REQUIRED } from '../../defender/exchange.ts';
import { gistOf, type SignIn, SignInError, type Token } from '../../defender/sign-in.ts';
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
    return { token, findings: [signInIs.ok({ finding: `Signed in; the token is valid for ${left}` })] };
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
  const proxy = /\bPROXY_(?:AUTH_REQUIRED|REFUSED)\b/.exec(message)?.[0];
  const cause = proxy ?? /^([a-z_]+): /.exec(message)?.[1] ?? '';
  const ofLogin = kind === 'login' ? OF_LOGIN[word] : undefined;
  const [meaning, advice] =
    ofLogin ??
    (kind === 'managed'
      ? (BY_NUMBER[number] ?? OF_IDENTITY[cause] ?? OF_IDENTITY[word] ?? UNKNOWN_IDENTITY)
      : (BY_NUMBER[number] ?? BY_CODE[cause] ?? BY_CODE[word] ?? UNKNOWN));
  return signInIs.problem({
    finding: `Sign-in failed (${code}): ${gistOf({ code, message })}`,
    meaning,
    advice,
  });
}

type Known = readonly [meaning: string, advice: string];

const UNKNOWN: Known = [
  'The sign-in service does not issue a token to this application.',
  'Look up the error code at https://login.microsoftonline.com/error, and see the sign-in logs of the tenant in Entra.',
];

const SECRETS = 'Certificates & secrets of the app registration';

/** What Entra objects to. https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const BY_NUMBER: Readonly<Record<string, Known>> = {
  AADSTS7000215: [
    'The client secret is wrong.',
    `Set AZURE_CLIENT_SECRET to the value of the secret, not its id. If the value is lost, create a new secret (${SECRETS}).`,
  ],
  AADSTS7000222: [
    'The client secret has expired.',
    `Create a new one (${SECRETS}) and set AZURE_CLIENT_SECRET to its value.`,
  ],
  AADSTS7000216: [
    'The sign-in service received no credential.',
    'Set AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH.',
  ],
  AADSTS700016: [
    'The tenant does not have this application.',
    'Correct AZURE_CLIENT_ID or AZURE_TENANT_ID. If the application is registered in another tenant, an administrator of this tenant must first consent to it.',
  ],
  AADSTS7000218: [
    'The application does not allow a user login without a credential of its own.',
    'Allow public client flows (Authentication in the app registration).',
  ],
  AADSTS65001: [
    'The permissions that the application requests have no consent.',
    'Add delegated permissions of WindowsDefenderATP to the app registration, and grant admin consent.',
  ],
  AADSTS7000112: ['The application is disabled.', 'Enable it in Entra, under Enterprise applications.'],
  AADSTS7000229: [
    'The tenant does not have this application.',
    'Ask an administrator of the tenant to consent to it.',
  ],
  AADSTS90002: ['This tenant does not exist in this cloud.', 'Correct AZURE_TENANT_ID or DEFENDER_CLOUD.'],
  AADSTS900023: ['The tenant id is invalid.', 'Set AZURE_TENANT_ID to the GUID or a domain of the tenant.'],
  AADSTS500011: [
    'The tenant does not have the API of this scope.',
    'Remove DEFENDER_SCOPE, or correct DEFENDER_CLOUD. A tenant without Defender for Endpoint does not have this API.',
  ],
  AADSTS650052: [
    'The tenant has no subscription to Defender for Endpoint.',
    'Check AZURE_TENANT_ID and the licenses of the tenant.',
  ],
  AADSTS1002012: [
    'This scope is not valid for an application.',
    'Remove DEFENDER_SCOPE, or make it end in /.default.',
  ],
  AADSTS70011: ['The scope is not valid.', 'Remove DEFENDER_SCOPE, or make it end in /.default.'],
  AADSTS700027: [
    'The certificate does not belong to the application, or the signature is wrong.',
    `Upload the public part of the certificate (${SECRETS}).`,
  ],
  AADSTS700024: [
    'The signed request or federated token is not valid at this time.',
    'Correct the clock of this machine (NTP). An expired federated token must be renewed by the program that writes its file.',
  ],
  AADSTS700211: [
    'The application does not trust the issuer of the federated token.',
    `Add the issuer as a federated credential (${SECRETS}).`,
  ],
  AADSTS700212: [
    'The federated token is for another audience.',
    'Issue it for the audience api://AzureADTokenExchange.',
  ],
  AADSTS700213: [
    'The application trusts the issuer of the federated token, but not its subject.',
    `Correct the subject of the federated credential (${SECRETS}).`,
  ],
  AADSTS53003: [
    'Conditional Access blocks the application.',
    'Exclude the application from the policy, or run Standdown from a location that the policy allows.',
  ],
  AADSTS90033: [
    'The sign-in service has a temporary problem.',
    'Try again later. Workers retry on their own.',
  ],
};

const BY_CODE: Readonly<Record<string, Known>> = {
  [PROXY_AUTH_REQUIRED]: ['The proxy lets nothing through without them.', PROXY_PASSWORD],
  PROXY_REFUSED: [
    'The sign-in service is not reached.',
    'Let the proxy of HTTPS_PROXY connect to it, or name it in NO_PROXY.',
  ],
  network_error: [
    'The sign-in service is unreachable.',
    'Check AZURE_AUTHORITY_HOST, DNS, HTTPS_PROXY and the firewall. To trust your own certificate authority, set NODE_EXTRA_CA_CERTS in the environment to its certificate file.',
  ],
  request_timeout: [
    'The sign-in service did not answer in time.',
    'Check HTTPS_PROXY and the firewall, and try again.',
  ],
  unreadable_answer: [
    'The answer does not come from the sign-in service.',
    'Check AZURE_AUTHORITY_HOST and HTTPS_PROXY.',
  ],
  credential_unreadable: [
    'The credential of the application cannot be used.',
    'Set AZURE_CLIENT_CERTIFICATE_PATH to a PEM file with a private key and its certificate, and AZURE_CLIENT_CERTIFICATE_PASSWORD if the key is encrypted; or AZURE_FEDERATED_TOKEN_FILE to a file with one token.',
  ],
  endpoints_resolution_error: [
    'The tenant does not exist, or the address is not a sign-in service.',
    'Correct AZURE_TENANT_ID and AZURE_AUTHORITY_HOST.',
  ],
};

const AGAIN = 'Run "standdown login".';

/** What becomes of a login. */
const OF_LOGIN: Readonly<Record<string, Known>> = {
  login_needed: ['No user is logged in, or the login has expired. Workers wait for a new login.', AGAIN],
  login_busy: [
    'Another process has been signing in for a long time.',
    'Try again later. Workers retry on their own.',
  ],
  login_unusable: [
    'The login in the data folder cannot be read or written.',
    'Check the permissions and the free space of STANDDOWN_DATA_DIR.',
  ],
  authorization_declined: ['The user or a policy of the tenant declined the login.', AGAIN],
  access_denied: ['The user or a policy of the tenant declined the login.', AGAIN],
  expired_token: ['A code is valid for a few minutes only.', AGAIN],
  device_code_expired: ['A code is valid for a few minutes only.', AGAIN],
  bad_verification_code: ['The code was already used or has expired.', AGAIN],
};

const UNKNOWN_IDENTITY: Known = [
  'Azure does not issue a token for this identity.',
  'Assign the identity in AZURE_MANAGED_IDENTITY to this machine or app: system, or the client id of a user-assigned identity.',
];

const NO_ENDPOINT: Known = [
  'This is not an Azure machine, or it has no managed identity.',
  'Run Standdown on an Azure machine with a managed identity, or remove AZURE_MANAGED_IDENTITY and sign in another way.',
];

/** What the platform's endpoint objects to, or why it is not reached. */
const OF_IDENTITY: Readonly<Record<string, Known>> = {
  network_error: NO_ENDPOINT,
  request_timeout: NO_ENDPOINT,
  unreadable_answer: [
    'The answer does not come from the identity endpoint of Azure.',
    'Check IDENTITY_ENDPOINT in the environment; Azure sets it.',
  ],
};
