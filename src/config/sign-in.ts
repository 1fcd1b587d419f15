import { join, resolve } from 'node:path';
import { z } from 'zod';
import { unreachable } from '../base/errors.ts';
import { parseGuid } from '../base/guid.ts';
import { remember, Secret } from '../base/secret.ts';

/** How an application proves who it is. */
export type ClientCredential =
  | { kind: 'secret'; secret: Secret }
  /** A PEM file with the private key and the certificate, read afresh whenever it changes. The password is that of an encrypted key. */
  | { kind: 'certificate'; path: string; password: Secret | null }
  /** A file with a token of another issuer, which Entra trusts; read afresh at each sign-in. */
  | { kind: 'federated'; path: string };

/** What `standdown login` keeps: a user's login. */
export interface LoginCredential {
  kind: 'login';
  path: string;
}

/** An application with an app registration: it signs in by a credential of its own, or a user does. */
export interface RegisteredSignIn {
  tenantId: string;
  clientId: string;
  credential: ClientCredential | LoginCredential;
  authorityHost: string;
  scope: string;
}

/** What Azure gives the machine that this runs on. The platform knows its tenant and where to ask. */
export interface ManagedSignIn {
  tenantId: null;
  clientId: null;
  /** The client id of a user-assigned identity; null: the system-assigned one. */
  credential: { kind: 'managed'; clientId: string | null };
  authorityHost: null;
  scope: string;
}

export type SignInConfig = RegisteredSignIn | ManagedSignIn;
export type Credential = SignInConfig['credential'];

/** Ways to sign in; only one of them at a time. */
export const SIGN_IN_KINDS = [
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_MANAGED_IDENTITY',
  'AZURE_LOGIN',
] as const;

/** The settings that have to do with signing in. */
export const signInSettings = {
  /** A GUID, or the domain of a tenant. */
  AZURE_TENANT_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,253}$/, 'not a tenant id or domain')
    .optional(),
  AZURE_CLIENT_ID: z.string().optional(),
  AZURE_CLIENT_SECRET: z.string().optional(),
  AZURE_CLIENT_CERTIFICATE_PATH: z.string().optional(),
  AZURE_CLIENT_CERTIFICATE_PASSWORD: z.string().optional(),
  AZURE_FEDERATED_TOKEN_FILE: z.string().optional(),
  AZURE_MANAGED_IDENTITY: z
    .string()
    .refine(
      (text) => text === 'system' || parseGuid(text) !== null,
      'must be system or the client id (a GUID) of a user-assigned identity',
    )
    .optional(),
  AZURE_LOGIN: z.literal('device-code', 'must be device-code').optional(),
  /** Azure's own, for msal, which reads it in the environment: here only so that no log shows it. */
  IDENTITY_HEADER: z.string().optional(),
  AZURE_AUTHORITY_HOST: z
    .string()
    .refine((text) => URL.canParse(text) && new URL(text).protocol === 'https:', 'must begin with https://')
    .transform(baseUrl)
    .optional(),
  DEFENDER_SCOPE: z.string().optional(),
};

type Settings = z.infer<z.ZodObject<typeof signInSettings>>;

/** What settings that go each by itself do not say together. */
export function signInMistakes(given: Readonly<Record<string, string | undefined>>): string[] {
  const kinds = SIGN_IN_KINDS.filter((variable) => given[variable]);
  return kinds.length > 1 ? [`${kinds.join(' and ')}: set only one of them`] : [];
}

/**
 * @param cloud what is meant where the settings name no address.
 * @param dataDir where a login is kept.
 */
export function signInConfig(
  env: Settings,
  cloud: { authorityHost: string; scope: string },
  dataDir: string,
): { signIn: SignInConfig | null; signInMissing: string[] } {
  const scope = env.DEFENDER_SCOPE ?? cloud.scope;
  if (env.IDENTITY_HEADER) remember(env.IDENTITY_HEADER);
  if (env.AZURE_MANAGED_IDENTITY)
    return { signIn: managedSignIn(env.AZURE_MANAGED_IDENTITY, scope), signInMissing: [] };
  const { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId } = env;
  const credential = env.AZURE_LOGIN ? loginOf(env, dataDir) : credentialOf(env);
  const missing = [
    ...(tenantId ? [] : ['AZURE_TENANT_ID']),
    ...(clientId ? [] : ['AZURE_CLIENT_ID']),
    ...(credential ? [] : ['AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH']),
  ];
  if (!tenantId || !clientId || !credential) return { signIn: null, signInMissing: missing };
  const authorityHost = env.AZURE_AUTHORITY_HOST ?? cloud.authorityHost;
  return { signIn: { tenantId, clientId, credential, authorityHost, scope }, signInMissing: [] };
}

/** Who signs in, and how, for people. No secret is in it. */
export function describeSignIn({ tenantId, clientId, credential }: SignInConfig): string {
  const application = `application ${clientId} in Entra tenant ${tenantId}`;
  switch (credential.kind) {
    case 'secret':
      return `${application}, with a client secret`;
    case 'certificate':
      return `${application}, with the certificate ${credential.path}`;
    case 'federated':
      return `${application}, with the federated token ${credential.path}`;
    case 'login':
      return `a user's login (device code) to ${application}`;
    case 'managed':
      return credential.clientId === null
        ? 'the system-assigned managed identity'
        : `the user-assigned managed identity ${credential.clientId}`;
    default:
      return unreachable(credential);
  }
}

function managedSignIn(which: string, scope: string): ManagedSignIn {
  const credential = { kind: 'managed', clientId: parseGuid(which) } as const;
  return { tenantId: null, clientId: null, credential, authorityHost: null, scope };
}

/** A name that people can read, and that two tenants or applications never share. */
function loginOf({ AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '' }: Settings, dataDir: string): LoginCredential {
  const name = [AZURE_TENANT_ID.toLowerCase(), AZURE_CLIENT_ID.toLowerCase()]
    .map(encodeURIComponent)
    .join('_');
  return { kind: 'login', path: join(dataDir, 'logins', `${name}.json`) };
}

function credentialOf(env: Settings): ClientCredential | null {
  if (env.AZURE_CLIENT_SECRET) return { kind: 'secret', secret: new Secret(env.AZURE_CLIENT_SECRET) };
  if (env.AZURE_CLIENT_CERTIFICATE_PATH) {
    const { AZURE_CLIENT_CERTIFICATE_PATH: path, AZURE_CLIENT_CERTIFICATE_PASSWORD: password } = env;
    return { kind: 'certificate', path: resolve(path), password: password ? new Secret(password) : null };
  }
  if (env.AZURE_FEDERATED_TOKEN_FILE) {
    return { kind: 'federated', path: resolve(env.AZURE_FEDERATED_TOKEN_FILE) };
  }
  return null;
}

/** A base address, its slash at the end taken off. Plain http only where it does not leave the machine. */
export function baseUrl(text: string, context: z.RefinementCtx): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLoopback = url !== null && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    context.addIssue({ code: 'custom', message: 'not a valid URL (must begin with https://)' });
  } else if (url.protocol === 'http:' && !isLoopback) {
    context.addIssue({
      code: 'custom',
      message: 'must begin with https:// (plain http is only for this machine: it sends tokens unencrypted)',
    });
  } else if (url.search || url.hash || url.username || url.password) {
    context.addIssue({
      code: 'custom',
      message: 'must be a host and an optional path, without user name, password, query or fragment',
    });
  }
  return text.replace(/\/+$/, '');
}
