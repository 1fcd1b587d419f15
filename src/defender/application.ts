import { ConfidentialClientApplication } from '@azure/msal-node';
import type { ClientCredential, RegisteredSignIn } from '../config/sign-in.ts';
import { readCredential } from './credential.ts';
import { gistOf, SignInError, toSignInError } from './sign-in-error.ts';
import type { SignInWay, TokenSource } from './sign-in-way.ts';

/** What was signed is not valid yet, or not any more. */
const UNTIMELY = 'AADSTS700024';

/**
 * An application that proves who it is by a secret, a certificate or a federated token.
 *
 * msal is made anew for each token, for nothing that it keeps is wanted: its copy of a token may be one that the API refused, after a
 * 429 or 5xx it gives that answer again for a minute without asking, and what it signed was signed by a clock that may be set right
 * meanwhile.
 */
export function applicationTokens(
  config: RegisteredSignIn,
  proof: ClientCredential,
  way: SignInWay,
): TokenSource {
  async function msal(): Promise<ConfidentialClientApplication> {
    const authority = `${config.authorityHost}/${config.tenantId}`;
    return new ConfidentialClientApplication({
      auth: {
        clientId: config.clientId,
        authority,
        knownAuthorities: [new URL(authority).host],
        ...(await readCredential(proof)),
      },
      system: { networkClient: way.client, disableInternalRetries: true },
    });
  }

  return async () => {
    try {
      const app = await msal();
      return await app.acquireTokenByClientCredential({ scopes: [config.scope] });
    } catch (error) {
      const failure = toSignInError(error, way.failure());
      if (!failure.code.includes(UNTIMELY)) throw failure;
      throw new SignInError(failure.code, `${gistOf(failure)} (${describeClock(way.aheadMs())})`, error);
    }
  };
}

/** In whole minutes: whether they differ by a second more or less changes nothing. */
function describeClock(aheadMs: number): string {
  const minutes = Math.round(Math.abs(aheadMs) / 60_000);
  if (minutes === 0) return "the clock of this machine agrees with the sign-in service's";
  return `the clock of this machine is ${minutes} min ${aheadMs > 0 ? 'ahead of' : 'behind'} the sign-in service's; correct it`;
}
