import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { StanddownError } from '../base/errors.ts';

/** What the user did with a code; `expired`: nothing, in time. */
export type LoginDecision = 'approved' | 'declined' | 'expired';

/** What a client is told that asks whether the user has decided. */
export type LoginStanding = LoginDecision | 'pending' | 'slow_down' | 'unknown';

/** How long-lived refresh tokens end before their time. */
export type LoginEnd = 'expired' | 'revoked';

/** Why a refresh token is refused. */
export type RefreshProblem = LoginEnd | 'used' | 'unknown';

export interface DeviceCode {
  deviceCode: string;
  userCode: string;
  lifetimeSeconds: number;
  intervalSeconds: number;
}

export interface DeviceLogins {
  begin(): DeviceCode;
  /** @throws StanddownError INTERNAL when nobody was given this code. */
  decide(userCode: string, decision: LoginDecision): void;
  /** An approved code is good once. Who asks more often than told is slowed down, by five more seconds each time. */
  redeem(deviceCode: string): LoginStanding;
}

export interface DeviceLoginOptions {
  /** Between two questions of a client. Default 5. */
  intervalSeconds?: number;
  /** How long a code can be entered. Default 900. */
  lifetimeSeconds?: number;
}

/** So much earlier than told is not early: timers and networks are no better. */
const TOLERANCE_MS = 50;
/** RFC 8628, 3.5. */
const SLOWER_SECONDS = 5;

interface Pending extends DeviceCode {
  decision: LoginDecision | null;
  begunAt: number;
  askedAt: number;
}

export function createDeviceLogins(options: DeviceLoginOptions & { clock: Clock }): DeviceLogins {
  const { clock, intervalSeconds = 5, lifetimeSeconds = 900 } = options;
  const logins: Pending[] = [];

  function standingOf(login: Pending): LoginStanding {
    const now = clock.monotonic();
    const isEarly = now - login.askedAt < 1_000 * login.intervalSeconds - TOLERANCE_MS;
    login.askedAt = now;
    if (isEarly) {
      login.intervalSeconds += SLOWER_SECONDS;
      return 'slow_down';
    }
    if (now - login.begunAt > 1_000 * login.lifetimeSeconds) return 'expired';
    return login.decision ?? 'pending';
  }

  return {
    begin: () => {
      const deviceCode = randomBytes(32).toString('base64url');
      const userCode = randomInt(36 ** 8, 36 ** 9 - 1)
        .toString(36)
        .toUpperCase();
      const begun = { deviceCode, userCode, lifetimeSeconds, intervalSeconds };
      logins.push({
        ...begun,
        decision: null,
        begunAt: clock.monotonic(),
        askedAt: Number.NEGATIVE_INFINITY,
      });
      return begun;
    },
    decide: (userCode, decision) => {
      const login = logins.find((candidate) => candidate.userCode === userCode);
      if (!login) throw new StanddownError('INTERNAL', `nobody was given the code ${userCode}`);
      login.decision = decision;
    },
    redeem: (deviceCode) => {
      const login = logins.find((candidate) => candidate.deviceCode === deviceCode);
      if (!login) return 'unknown';
      const standing = standingOf(login);
      if (standing === 'approved') logins.splice(logins.indexOf(login), 1);
      return standing;
    },
  };
}

/** Each is good once, which is stricter than Entra: it shows a client that does not keep the newest one. */
export interface RefreshTokens {
  issue(): string;
  /** Null: it was good. */
  redeem(token: string): RefreshProblem | null;
  /** All that were issued so far. */
  end(how: LoginEnd): void;
}

export function createRefreshTokens(): RefreshTokens {
  const issued = new Map<string, RefreshProblem | 'good'>();
  return {
    issue: () => {
      const token = `1.A${randomUUID()}${randomBytes(48).toString('base64url')}`;
      issued.set(token, 'good');
      return token;
    },
    redeem: (token) => {
      const standing = issued.get(token) ?? 'unknown';
      if (standing !== 'good') return standing;
      issued.set(token, 'used');
      return null;
    },
    end: (how) => {
      for (const token of issued.keys()) issued.set(token, how);
    },
  };
}
