import type { Behaviour } from './behaviour.ts';
import type { ApiOperation, Call } from './calls.ts';
import type { LoginDecision, LoginEnd } from './device-logins.ts';
import type { FaultRule } from './faults.ts';
import type { LimitSettings } from './limits.ts';
import type { MachineAction, SeedAction } from './machine-action.ts';
import type { Summary } from './summary.ts';

/** What a client must be told to use the simulator instead of the real thing. */
export interface SimulatorAddresses {
  /** `http://127.0.0.1:PORT`, without a path. */
  apiUrl: string;
  /** `https://localhost:PORT`; an authority is this, a slash and the tenant id. */
  authorityUrl: string;
  tenantId: string;
  clientId: string;
  clientSecret: string;
  scope: string;
  /** Where a managed identity gets its tokens, and the header for it: IDENTITY_ENDPOINT and IDENTITY_HEADER. */
  identityEndpoint: string;
  identityHeader: string;
  /** PEM file with the certificate to trust for the sign-in; removed at stop. */
  caFile: string;
}

/** Steering and watching; none of it is limited or recorded as a call. */
export interface SimulatorControls {
  /** Adds machine actions, or replaces those of the same id. */
  addActions(actions: readonly SeedAction[]): void;
  /** An action as it is now; null: there is none. */
  action(id: string): MachineAction | null;
  /** Replaces all fault rules. The first rule that applies to a call wins. */
  setFaults(rules: readonly FaultRule[]): void;
  /** Adds a rule after the others. */
  addFault(rule: FaultRule): void;
  /** The roles in tokens issued from now on; those issued before keep theirs until they expire or are revoked. */
  setRoles(roles: readonly string[]): void;
  /** Every token issued so far is answered with 401. */
  revokeTokens(): void;
  /** Replaces the application's certificates (PEM): what another one signed is refused from now on. */
  setClientCertificates(certificates: readonly string[]): void;
  /** The user enters a code that a login was given, or does not. */
  decideLogin(userCode: string, decision: LoginDecision): void;
  /** Every refresh token issued so far is refused. */
  endLogins(how: LoginEnd): void;
  /** Changes some settings. When they concern the counting and not only a refusal's style, it begins anew. */
  setLimits(patch: Partial<LimitSettings>): void;
  setBehaviour(patch: Partial<Behaviour>): void;
  /** Another client of the same application makes `n` calls now; returns how many of them passed. */
  spend(operation: ApiOperation, n: number): number;
  /** What arrived, in order; only calls with a number above `since` (default 0). */
  calls(since?: number): readonly Call[];
  callsFor(id: string): readonly Call[];
  /** Calls over the limit. A 429 from a fault rule is not among them. */
  refusals(): readonly Call[];
  /** The most calls that used quota in any half-open window of `windowMs`. */
  peak(operation: ApiOperation, windowMs: number): number;
  /** Counts per operation, with peaks for the limits' windows and for `windowMs` when given. */
  summary(windowMs?: number): Summary;
  /** Back to the options: actions, faults, roles, limits, behaviour; calls are forgotten. Tokens stay good. */
  reset(): void;
}

export interface Simulator extends SimulatorAddresses, SimulatorControls {
  /** Ends all connections, also those that hang. May be called again. */
  stop(): Promise<void>;
}

type OverHttp<Controls> = {
  [Name in keyof Controls]: Controls[Name] extends (...parameters: infer Parameters) => infer Result
    ? (...parameters: Parameters) => Promise<Result>
    : never;
};

/** A simulator in another process. */
export interface RemoteSimulator extends SimulatorAddresses, OverHttp<SimulatorControls> {
  /** Closes this client's connections; the simulator goes on. */
  close(): Promise<void>;
}
