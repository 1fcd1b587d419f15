import { randomUUID } from 'node:crypto';
import { systemClock } from '../base/clock.ts';
import { createAccessTokens, signingKeyOf } from './access-tokens.ts';
import { createBehaviour } from './behaviour.ts';
import { createCalls } from './calls.ts';
import { createClientAuth } from './client-auth.ts';
import { createControls, createRoleHolder } from './controls.ts';
import { createDeviceLogins, createRefreshTokens } from './device-logins.ts';
import { createFaultPlayer } from './fault-player.ts';
import { createFaults } from './faults.ts';
import { createLatency } from './latency.ts';
import { createLimits } from './limits.ts';
import { MAX_PAGE_SIZE } from './listing.ts';
import { createOperations } from './operations.ts';
import { DEFAULT_SCOPE, DEFAULT_TOKEN_LIFETIME_MS, type SimulatorOptions } from './options.ts';
import { createRandom } from './random.ts';
import { createActionStore } from './store.ts';

/** Everything but the servers, put together. `signal` is aborted when the simulator stops. */
export async function createParts(options: SimulatorOptions, signal: AbortSignal) {
  const { clock = systemClock, seed = 1 } = options;
  const identity = createIdentity(options);
  const { clientId } = identity;
  const calls = createCalls({ clock });
  const behaviour = createBehaviour(options.behaviour ?? {});
  const store = createActionStore({ clock, behaviour });
  // Streams of their own: adding a fault does not change the latencies.
  const faults = createFaults({ random: createRandom(seed) });
  const latency = createLatency({ ...options, clock, signal, random: createRandom(seed + 1) });
  const limits = createLimits(options.limits ?? {});
  const roles = createRoleHolder(options.roles);
  const tokens = await createAccessTokens({
    ...identity,
    clock,
    audience: identity.scope.replace(/\/\.default$/, ''),
    lifetimeMs: options.tokenLifetimeMs ?? DEFAULT_TOKEN_LIFETIME_MS,
    signingKey: await signingKeyOf(options.signingKey),
  });
  const clientCertificates = options.clientCertificate === undefined ? [] : [options.clientCertificate];
  const pageSize = Math.min(options.pageSize ?? MAX_PAGE_SIZE, MAX_PAGE_SIZE);
  const clientAuth = createClientAuth({
    ...identity,
    clock,
    clientCertificates,
    clientAuthority: options.clientAuthority ?? null,
    federation: options.federation ?? null,
  });
  const logins = createDeviceLogins({ ...options.deviceLogin, clock });
  const refreshTokens = createRefreshTokens();
  const operations = createOperations({ store, behaviour, pageSize, clientId });
  const player = createFaultPlayer({ clock, signal });
  const controls = createControls({
    options,
    calls,
    store,
    faults,
    limits,
    behaviour,
    roles,
    tokens,
    clientAuth,
    tenantId: identity.tenantId,
    logins,
    refreshTokens,
  });
  store.add(options.actions ?? []);
  faults.replace(options.faults ?? []);
  const served = { calls, faults, player, tokens, clock, signal };
  return {
    identity,
    controls,
    api: { ...served, limits, latency, operations },
    signIn: {
      ...served,
      ...identity,
      clientAuth,
      logins,
      refreshTokens,
      isPublicClient: options.isPublicClient ?? true,
      user: options.user ?? { id: randomUUID(), name: 'anna@contoso.example' },
      roles: roles.now,
    },
    managedIdentity: {
      ...served,
      ...identity,
      systemIdentity: options.systemIdentity === undefined ? clientId : options.systemIdentity,
      userIdentities: options.userIdentities ?? [],
      roles: roles.now,
    },
  };
}

function createIdentity(options: SimulatorOptions) {
  const tenantId = options.tenantId ?? randomUUID();
  return {
    tenantId,
    tenantIds: [tenantId, ...(options.otherTenantIds ?? [])],
    clientId: options.clientId ?? randomUUID(),
    clientSecret: options.clientSecret ?? randomUUID(),
    identityHeader: randomUUID(),
    scope: options.scope ?? DEFAULT_SCOPE,
  };
}
