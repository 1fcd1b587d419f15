import { decodeJwt } from 'jose';
import type { SignInConfig } from '../config/sign-in.ts';
import type { Token } from './sign-in.ts';

/** Whom a token is for, and what it permits: all of it may be shown, the token may not. */
export interface Identity {
  application: string | null;
  tenant: string | null;
  /** Null: an application signed in by itself. */
  user: string | null;
  /** Null: they cannot be read. */
  roles: readonly string[] | null;
}

/** As the token says; where it cannot be read, as the settings do. */
export function identityOf({ accessToken, isDelegated, roles }: Token, config: SignInConfig): Identity {
  const claims = claimsOf(accessToken);
  const { credential } = config;
  const configured = credential.kind === 'managed' ? credential.clientId : config.clientId;
  return {
    application: firstText(claims['appid'], claims['azp']) ?? configured,
    tenant: firstText(claims['tid']) ?? config.tenantId,
    user: isDelegated ? firstText(claims['upn'], claims['preferred_username'], claims['oid']) : null,
    roles: roles?.filter(isShowable) ?? null,
  };
}

function claimsOf(accessToken: string): Record<string, unknown> {
  try {
    return decodeJwt(accessToken);
  } catch {
    return {};
  }
}

function firstText(...values: unknown[]): string | null {
  return values.filter((value) => typeof value === 'string').find(isShowable) ?? null;
}

/** Nobody has verified the token: its texts go to a terminal, too. */
function isShowable(text: string): boolean {
  return text !== '' && text.length <= 256 && !/\p{C}/u.test(text);
}
