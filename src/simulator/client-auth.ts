import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { type CompactJWSHeaderParameters, errors, jwtVerify } from 'jose';
import type { Clock } from '../clock.ts';
import { type EntraProblem, PROBLEMS } from './entra-error.ts';

export interface ClientAuthDeps {
  clock: Clock;
  clientId: string;
  clientSecret: string;
  /** The application's certificate, PEM; null: it has none. */
  clientCertificate: string | null;
}

export interface ClientAuth {
  /** Judges the credential of a token request; `audiences` are what an assertion may be addressed to. Null: it is good. */
  check(form: URLSearchParams, audiences: string[]): Promise<EntraProblem | null>;
}

/** Clocks differ, and msal rounds its own up: what it signs may begin half a second from now. */
const CLOCK_TOLERANCE_SECONDS = 60;
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const UNREGISTERED =
  'The certificate with identifier used to sign the client assertion is not registered on application.';

interface Registered {
  key: KeyObject;
  x5t: string;
  x5tS256: string;
}

export function createClientAuth(deps: ClientAuthDeps): ClientAuth {
  const registered = deps.clientCertificate === null ? null : register(deps.clientCertificate);
  return {
    check: async (form, audiences) => {
      const assertion = form.get('client_assertion');
      if (assertion !== null) {
        if (form.get('client_assertion_type') !== JWT_BEARER) {
          return PROBLEMS.missingParameter('client_assertion_type');
        }
        if (!registered) return PROBLEMS.badAssertion(700027, UNREGISTERED);
        return checkAssertion(assertion, registered, { ...deps, audiences });
      }
      const secret = form.get('client_secret');
      if (secret === null) return PROBLEMS.noCredential();
      return secret === deps.clientSecret ? null : PROBLEMS.wrongSecret(deps.clientId);
    },
  };
}

function register(pem: string): Registered {
  const certificate = new X509Certificate(pem);
  const thumbprint = (algorithm: string) => createHash(algorithm).update(certificate.raw).digest('base64url');
  return { key: certificate.publicKey, x5t: thumbprint('sha1'), x5tS256: thumbprint('sha256') };
}

interface AssertionRules {
  clock: Clock;
  clientId: string;
  audiences: string[];
}

async function checkAssertion(
  assertion: string,
  registered: Registered,
  { clock, clientId, audiences }: AssertionRules,
): Promise<EntraProblem | null> {
  try {
    const { protectedHeader } = await jwtVerify(assertion, registered.key, {
      algorithms: ['RS256', 'PS256'],
      issuer: clientId,
      subject: clientId,
      audience: audiences,
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(clock.wall()),
    });
    return isOfCertificate(protectedHeader, registered) ? null : PROBLEMS.badAssertion(700027, UNREGISTERED);
  } catch (error) {
    return problemOf(error);
  }
}

/** A thumbprint is optional; one that is given must be right. */
function isOfCertificate(header: CompactJWSHeaderParameters, registered: Registered): boolean {
  const { x5t = registered.x5t } = header;
  const x5tS256 = header['x5t#S256'] ?? registered.x5tS256;
  return x5t === registered.x5t && x5tS256 === registered.x5tS256;
}

function problemOf(error: unknown): EntraProblem {
  if (error instanceof errors.JWTExpired) {
    return PROBLEMS.badAssertion(700024, 'Client assertion is not within its valid time range.');
  }
  if (error instanceof errors.JWTClaimValidationFailed) return claimProblem(error.claim);
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return PROBLEMS.badAssertion(700027, 'Client assertion failed signature validation.');
  }
  return PROBLEMS.badAssertion(50027, 'JWT token is invalid or malformed.');
}

function claimProblem(claim: string): EntraProblem {
  switch (claim) {
    case 'aud':
      return PROBLEMS.badAssertion(
        700023,
        'Client assertion audience claim does not match the token endpoint.',
      );
    case 'iss':
    case 'sub':
      return PROBLEMS.badAssertion(
        700021,
        "Client assertion application identifier doesn't match 'client_id' parameter.",
      );
    default:
      return PROBLEMS.badAssertion(700024, 'Client assertion is not within its valid time range.');
  }
}
