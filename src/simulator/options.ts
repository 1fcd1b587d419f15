import type { Clock } from '../base/clock.ts';
import type { Behaviour } from './behaviour.ts';
import type { ServerCertificate } from './certificate.ts';
import type { DeviceLoginOptions } from './device-logins.ts';
import type { FaultRule } from './faults.ts';
import type { LatencyOptions } from './latency.ts';
import type { LimitSettings } from './limits.ts';
import type { SeedAction } from './machine-action.ts';

/** An issuer of tokens that the application trusts, as its federated credentials say. */
export interface Federation {
  issuer: string;
  subject: string;
  /** PEM. */
  publicKey: string;
}

export interface SimulatorOptions extends LatencyOptions {
  /** Where the sign-in's certificate is written, for clients to trust. Made when missing. */
  dir: string;
  /** Of the API. Default 0: any free one. */
  port?: number;
  /** Of the sign-in. Default 0: any free one. */
  authorityPort?: number;
  /** The sign-in's, for localhost and 127.0.0.1. Default: one of its own. */
  certificate?: ServerCertificate;
  /** Signs its tokens: an RSA key, PEM (PKCS #8). Default: one of its own. */
  signingKey?: string;
  /** Default: a random GUID. */
  tenantId?: string;
  /** Further tenants that the application is registered in; each has quotas of its own. Default none. */
  otherTenantIds?: readonly string[];
  /** The one application that may sign in. Default: a random GUID. */
  clientId?: string;
  /** Default: a random one. */
  clientSecret?: string;
  /** The application's certificate, PEM, for signing in with an assertion. Default none. */
  clientCertificate?: string;
  /** An authority, PEM: a certificate of it will do, too, if it comes with its chain. Default none. */
  clientAuthority?: string;
  /** Whose tokens the application may sign in with. Default: nobody's. */
  federation?: Federation;
  /** Whether a user may sign in to the application without its credential. Default true. */
  isPublicClient?: boolean;
  /** The one user there is. Default: anna@contoso.example, with a random id. */
  user?: { id: string; name: string };
  deviceLogin?: DeviceLoginOptions;
  /** The client id of the machine's system-assigned managed identity; null: it has none. Default: `clientId`. */
  systemIdentity?: string | null;
  /** Client ids of its user-assigned managed identities. Default none. */
  userIdentities?: readonly string[];
  /** The one scope that tokens are for, ending in `/.default`. Default that of the public cloud. */
  scope?: string;
  /** The application's roles. Default: all that cancelling and reading can ask for. */
  roles?: readonly string[];
  /** How long a token is good, cut to whole seconds and at least one. Default 3,600,000. */
  tokenLifetimeMs?: number;
  /** Default: 100 per minute and 1,500 per hour for each operation, sliding. */
  limits?: Partial<LimitSettings>;
  behaviour?: Partial<Behaviour>;
  faults?: readonly FaultRule[];
  actions?: readonly SeedAction[];
  /** How many actions a page of the list holds. Default 10,000, which is also the most. */
  pageSize?: number;
  /** For latencies and fault rates. Default 1. */
  seed?: number;
  /** Default the system's. Decides arrival times, token expiry and waits. */
  clock?: Clock;
}

/** What can be given as JSON. */
export type PlainSimulatorOptions = Omit<SimulatorOptions, 'clock'>;

export const DEFAULT_SCOPE = 'https://api.securitycenter.microsoft.com/.default';
export const DEFAULT_TOKEN_LIFETIME_MS = 3_600_000;
