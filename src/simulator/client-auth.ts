import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type ProtectedHeaderParameters } from 'jose';
import type { Clock } from '../base/clock.ts';
import { type EntraProblem, PROBLEMS } from './entra-error.ts';
import type { Federation } from './options.ts';

export interface ClientAuthDeps {
  clock: Clock;
  clientId: string;
  clientSecret: string;
  /** The application's certificates, PEM. */
  clientCertificates: readonly string[];
  /** An authority, PEM: the application trusts every certificate of it that comes with its chain. */
  clientAuthority: string | null;
  federation: Federation | null;
}

export interface ClientAuth {
  /** Judges the credential of a token request; `audiences` are what an assertion may be addressed to. Null: it is good. */
  check(form: URLSearchParams, audiences: string[]): Promise<EntraProblem | null>;
  /** Other certificates, PEM, in place of those so far. */
  setCertificates(certificates: readonly string[]): void;
}

/** Clocks differ: Entra forgives five minutes in either direction. */
const CLOCK_TOLERANCE_SECONDS = 300;
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const NOT_REGISTERED = PROBLEMS.badAssertion(
  700027,
  'The certificate with identifier used to sign the client assertion is not registered on application.',
);
/** What a token of another issuer is meant for. */
const EXCHANGE_AUDIENCE = 'api://AzureADTokenExchange';
const NO_SUCH_ISSUER = PROBLEMS.badAssertion(
  700211,
  'No matching federated identity record found for presented assertion issuer.',
);

interface Registered {
  key: KeyObject;
  x5t: string;
  x5tS256: string;
}

export function createClientAuth(deps: ClientAuthDeps): ClientAuth {
  let registered = deps.clientCertificates.map(register);
  const authority = deps.clientAuthority === null ? null : new X509Certificate(deps.clientAuthority);
  return {
    setCertificates: (certificates) => {
      registered = certificates.map(register);
    },
    check: async (form, audiences) => {
      const assertion = form.get('client_assertion');
      if (assertion !== null) {
        if (form.get('client_assertion_type') !== JWT_BEARER) {
          return PROBLEMS.missingParameter('client_assertion_type');
        }
        return checkAssertion(assertion, registered, { ...deps, authority, audiences });
      }
      const secret = form.get('client_secret');
      if (secret === null) return PROBLEMS.noCredential();
      return secret === deps.clientSecret ? null : PROBLEMS.wrongSecret(deps.clientId);
    },
  };
}

function register(pem: string | Buffer): Registered {
  const certificate = new X509Certificate(pem);
  const thumbprint = (algorithm: string) => createHash(algorithm).update(certificate.raw).digest('base64url');
  return { key: certificate.publicKey, x5t: thumbprint('sha1'), x5tS256: thumbprint('sha256') };
}

interface AssertionRules extends Pick<ClientAuthDeps, 'clock' | 'clientId' | 'federation'> {
  authority: X509Certificate | null;
  audiences: string[];
}

async function checkAssertion(
  assertion: string,
  registered: readonly Registered[],
  rules: AssertionRules,
): Promise<EntraProblem | null> {
  const { clientId, audiences, federation } = rules;
  try {
    if (federation && decodeJwt(assertion).iss === federation.issuer) {
      const { issuer, subject } = federation;
      const key = createPublicKey(federation.publicKey);
      const audience = [EXCHANGE_AUDIENCE];
      return await verify(assertion, key, { issuer, subject, audience }, rules.clock, federatedProblem);
    }
    if (registered.length === 0 && !rules.authority) return federation ? NO_SUCH_ISSUER : NOT_REGISTERED;
    const header = decodeProtectedHeader(assertion);
    const chain = (header.x5c ?? []).map((part) => new X509Certificate(Buffer.from(part, 'base64')));
    const trusted = [...registered, ...leafTrustedBy(rules.authority, chain, rules.clock)];
    const certificate = trusted.find((candidate) => isOfCertificate(header, chain, candidate));
    if (!certificate) return NOT_REGISTERED;
    const expected = { issuer: clientId, subject: clientId, audience: audiences };
    return await verify(assertion, certificate.key, expected, rules.clock, claimProblem);
  } catch {
    return PROBLEMS.badAssertion(50027, 'JWT token is invalid or malformed.');
  }
}

async function verify(
  assertion: string,
  key: KeyObject,
  expected: { issuer: string; subject: string; audience: string[] },
  clock: Clock,
  problemOfClaim: (claim: string) => EntraProblem | null,
): Promise<EntraProblem | null> {
  const now = new Date(clock.wall());
  const untimely = () => PROBLEMS.untimelyAssertion(now, decodeJwt(assertion));
  try {
    await jwtVerify(assertion, key, {
      ...expected,
      algorithms: ['RS256', 'PS256'],
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: now,
    });
    return null;
  } catch (error) {
    if (error instanceof errors.JWTExpired) return untimely();
    if (error instanceof errors.JWTClaimValidationFailed) return problemOfClaim(error.claim) ?? untimely();
    if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    return PROBLEMS.badAssertion(700027, 'Client assertion failed signature validation.');
  }
}

/** A thumbprint must be given, of either kind; and what is given must be right, the chain included. */
function isOfCertificate(
  header: ProtectedHeaderParameters,
  chain: readonly X509Certificate[],
  registered: Registered,
): boolean {
  const { x5t, 'x5t#S256': x5tS256 } = header;
  if (x5t === undefined && x5tS256 === undefined) return false;
  const [leaf] = chain;
  return (
    (x5t ?? registered.x5t) === registered.x5t &&
    (x5tS256 ?? registered.x5tS256) === registered.x5tS256 &&
    (leaf === undefined || register(leaf.raw).x5tS256 === registered.x5tS256)
  );
}

/** The certificate that a chain begins with, where each is signed by the next one and the last one by the authority. */
function leafTrustedBy(
  authority: X509Certificate | null,
  chain: readonly X509Certificate[],
  clock: Clock,
): Registered[] {
  const [leaf] = chain;
  if (!authority || !leaf) return [];
  const now = clock.wall();
  const isSound = chain.every((certificate, index) => {
    const issuer = chain[index + 1] ?? authority;
    const isTimely = Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
    return isTimely && certificate.verify(issuer.publicKey);
  });
  return isSound ? [register(leaf.raw)] : [];
}

/** Null: it is about times. */
function claimProblem(claim: string): EntraProblem | null {
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
      return null;
  }
}

/** Null: it is about times. */
function federatedProblem(claim: string): EntraProblem | null {
  const unmatched = (what: string) =>
    `No matching federated identity record found for presented assertion ${what}.`;
  if (claim === 'aud') return PROBLEMS.badAssertion(700212, unmatched('audience'));
  return claim === 'sub' ? PROBLEMS.badAssertion(700213, unmatched('subject')) : null;
}
