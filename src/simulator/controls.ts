import type { AccessTokens } from './access-tokens.ts';
import { type BehaviourSwitch, DEFAULT_BEHAVIOUR } from './behaviour.ts';
import type { Calls } from './calls.ts';
import type { ClientAuth } from './client-auth.ts';
import type { DeviceLogins, RefreshTokens } from './device-logins.ts';
import type { Faults } from './faults.ts';
import type { SimulatorControls } from './handle.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { SimulatorOptions } from './options.ts';
import { ALL_ROLES } from './permissions.ts';
import type { ActionStore } from './store.ts';
import { peakOf, summarize } from './summary.ts';

/** The roles that the next token holds. */
export interface RoleHolder {
  now(): readonly string[];
  set(roles: readonly string[]): void;
}

export interface ControlsDeps {
  options: SimulatorOptions;
  calls: Calls;
  store: ActionStore;
  faults: Faults;
  limits: Limits;
  behaviour: BehaviourSwitch;
  roles: RoleHolder;
  tokens: AccessTokens;
  clientAuth: ClientAuth;
  /** Of the client that `spend` plays. */
  tenantId: string;
  logins: DeviceLogins;
  refreshTokens: RefreshTokens;
}

export function createRoleHolder(initial: readonly string[] = ALL_ROLES): RoleHolder {
  let roles = initial;
  return {
    now: () => roles,
    set: (next) => {
      roles = next;
    },
  };
}

/** The simulator's levers and gauges, for whoever runs it. */
export function createControls(deps: ControlsDeps): SimulatorControls {
  const { calls, store, faults, limits, behaviour, roles, tokens, clientAuth, logins, refreshTokens } = deps;
  return {
    addActions: (actions) => store.add(actions),
    action: (id) => structuredClone(store.peek(id.toLowerCase())),
    setFaults: (rules) => faults.replace(rules),
    addFault: (rule) => faults.add(rule),
    setRoles: (next) => roles.set(next),
    revokeTokens: () => tokens.revoke(),
    setClientCertificates: (certificates) => clientAuth.setCertificates(certificates),
    decideLogin: (userCode, decision) => logins.decide(userCode, decision),
    endLogins: (how) => refreshTokens.end(how),
    setLimits: (patch) => limits.set(patch),
    setBehaviour: (patch) => behaviour.set(patch),
    spend: (operation, n) => limits.spend(operation, n, calls.elapsedMs(), deps.tenantId),
    calls: (since) => calls.list(since),
    callsFor: (id) => calls.list().filter((call) => call.id === id.toLowerCase()),
    refusals: () => calls.list().filter((call) => call.verdict === 'refused'),
    peak: (operation, windowMs) => peakOf(calls.list(), operation, windowMs),
    summary: (windowMs) =>
      summarize({
        calls: calls.list(),
        elapsedMs: calls.elapsedMs(),
        actions: store.countByStatus(),
        quotas: limits.settings(),
        windowMs,
      }),
    reset: () => restore(deps),
  };
}

function restore({ options, calls, store, faults, limits, behaviour, roles }: ControlsDeps): void {
  calls.clear();
  store.clear();
  store.add(options.actions ?? []);
  faults.replace(options.faults ?? []);
  limits.set({ ...DEFAULT_LIMITS, ...options.limits });
  behaviour.set({ ...DEFAULT_BEHAVIOUR, ...options.behaviour });
  roles.set(options.roles ?? ALL_ROLES);
}
