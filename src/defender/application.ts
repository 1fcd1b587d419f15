import { ConfidentialClientApplication } from '@azure/msal-node';
import type { ClientCredential, RegisteredSignIn } from '../sign-in-config.ts';
import { readCredential } from './credential.ts';
import type { TokenSource } from './sign-in.ts';
import { gistOf, SignInError, toSignInError } from './sign-in-error.ts';
import type { SignInWay } from './sign-in-way.ts';

/** What was signed is not valid yet, or not any more. */
const UNTIMELY = 'AADSTS700024';

/** An application that proves who it is by a secret, a certificate or a federated token. */
export function applicationTokens(
  config: RegisteredSignIn,
  proof: ClientCredential,
  way: SignInWay,
): TokenSource {
  let application: { credential: string; msal: ConfidentialClientApplication } | null = null;

  async function msal(): Promise<ConfidentialClientApplication> {
    const credential = await readCredential(proof);
    const fingerprint = JSON.stringify(credential);
    if (application?.credential !== fingerprint) {
      const authority = `${config.authorityHost}/${config.tenantId}`;
      application = {
        credential: fingerprint,
        msal: new ConfidentialClientApplication({
          auth: {
            clientId: config.clientId,
            authority,
            knownAuthorities: [new URL(authority).host],
            ...credential,
          },
          system: { networkClient: way.client, disableInternalRetries: true },
        }),
      };
    }
    return application.msal;
  }

  return async () => {
    try {
      const app = await msal();
      // Nothing that msal keeps is wanted: its copy of a token may be one that the API refused, and after a 429 or 5xx it would
      // give that answer again for a minute without asking.
      app.clearCache();
      return await app.acquireTokenByClientCredential({ scopes: [config.scope], skipCache: true });
    } catch (error) {
      const failure = toSignInError(error, way.failure());
      if (!failure.code.includes(UNTIMELY)) throw failure;
      // It keeps what it signed, up to ten minutes: a clock that was set right meanwhile would not help.
      application = null;
      throw new SignInError(failure.code, `${gistOf(failure)} (${describeClock(way.aheadMs())})`, error);
    }
  };
}

/** In whole minutes: whether they differ by a second more or less changes nothing. */
function describeClock(aheadMs: number): string {
  const minutes = Math.round(Math.abs(aheadMs) / 60_000);
  if (minutes === 0) return "this machine's clock agrees with the sign-in service's";
  return `this machine's clock is ${minutes} min ${aheadMs > 0 ? 'ahead of' : 'behind'} the sign-in service's: set it right`;
}
