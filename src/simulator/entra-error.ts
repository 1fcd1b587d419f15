import { randomUUID } from 'node:crypto';
import type { Answer } from './answer.ts';
import type { RefreshProblem } from './device-logins.ts';

/** What the sign-in service objects to: an OAuth error and Entra's own number for it. */
export interface EntraProblem {
  status: number;
  error: string;
  /** The digits of AADSTS…. */
  code: number;
  text: string;
  /** What a client may do about it. */
  suberror?: string;
}

export const PROBLEMS = {
  unknownTenant: (tenant: string): EntraProblem => ({
    status: 400,
    error: 'invalid_request',
    code: 90002,
    text: `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID.`,
  }),
  missingParameter: (name: string): EntraProblem => ({
    status: 400,
    error: 'invalid_request',
    code: 900144,
    text: `The request body must contain the following parameter: '${name}'.`,
  }),
  unsupportedGrant: (grant: string): EntraProblem => ({
    status: 400,
    error: 'unsupported_grant_type',
    code: 70003,
    text: `The app requested an unsupported grant type '${grant}'.`,
  }),
  unknownClient: (clientId: string, tenant: string): EntraProblem => ({
    status: 400,
    error: 'unauthorized_client',
    code: 700016,
    text: `Application with identifier '${clientId}' was not found in the directory '${tenant}'.`,
  }),
  noCredential: (): EntraProblem => ({
    status: 401,
    error: 'invalid_client',
    code: 7000216,
    text: "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
  }),
  wrongSecret: (clientId: string): EntraProblem => ({
    status: 401,
    error: 'invalid_client',
    code: 7000215,
    text:
      'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, ' +
      `not the client secret ID, for a secret added to app '${clientId}'.`,
  }),
  badAssertion: (code: number, text: string): EntraProblem => ({
    status: 401,
    error: 'invalid_client',
    code,
    text,
  }),
  untimelyAssertion: (now: Date, { nbf, exp }: { nbf?: number; exp?: number }): EntraProblem => ({
    status: 401,
    error: 'invalid_client',
    code: 700024,
    text:
      `Client assertion is not within its valid time range. Current time: ${now.toISOString()}, assertion valid from ` +
      `${timeOf(nbf)}, expiry time of assertion ${timeOf(exp)}.`,
  }),
  wrongScope: (scope: string): EntraProblem => ({
    status: 400,
    error: 'invalid_scope',
    code: 1002012,
    text:
      `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with ` +
      '/.default suffixed to the resource identifier (application ID URI).',
  }),
  unknownResource: (resource: string, tenant: string): EntraProblem => ({
    status: 400,
    error: 'invalid_resource',
    code: 500011,
    text: `The resource principal named ${resource} was not found in the tenant named ${tenant}.`,
  }),
  noPublicClient: (): EntraProblem => ({
    status: 401,
    error: 'invalid_client',
    code: 7000218,
    text: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  }),
  login: (standing: keyof typeof LOGINS): EntraProblem => ({ status: 400, ...LOGINS[standing] }),
  refresh: (problem: RefreshProblem): EntraProblem => ({
    status: 400,
    error: 'invalid_grant',
    ...REFRESHES[problem],
  }),
  transient: (status: number): EntraProblem => ({
    status,
    error: 'temporarily_unavailable',
    code: 90033,
    text: 'A transient error has occurred. Please try again.',
  }),
};

/** Why a device code brings no token, or none yet. Error words by RFC 8628. */
const LOGINS = {
  pending: {
    error: 'authorization_pending',
    code: 70016,
    text: 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.',
  },
  slow_down: { error: 'slow_down', code: 70016, text: 'Polling too often.' },
  declined: { error: 'authorization_declined', code: 70000, text: 'The user declined.' },
  expired: { error: 'expired_token', code: 70019, text: 'The verification code expired.' },
  unknown: { error: 'bad_verification_code', code: 70018, text: 'Bad verification code.' },
} as const;

const REFRESHES: Readonly<Record<RefreshProblem, Pick<EntraProblem, 'code' | 'text' | 'suberror'>>> = {
  expired: { code: 700082, text: 'The refresh token has expired due to inactivity.' },
  revoked: {
    code: 50173,
    text: 'The provided grant has expired due to it being revoked, a fresh auth token is needed.',
    suberror: 'bad_token',
  },
  used: { code: 70000, text: 'The refresh token has been used before.' },
  unknown: { code: 9002313, text: 'Invalid request. Request is malformed or invalid.' },
};

function timeOf(seconds = 0): string {
  return new Date(1_000 * seconds).toISOString();
}

/** The error body as Entra writes it: facts repeated in the description's last lines. */
export function entraAnswer(problem: EntraProblem, now: { wallMs: number; correlationId: string }): Answer {
  const traceId = randomUUID();
  const timestamp = `${new Date(now.wallMs).toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const description =
    `AADSTS${problem.code}: ${problem.text} Trace ID: ${traceId} ` +
    `Correlation ID: ${now.correlationId} Timestamp: ${timestamp}`;
  const body = {
    error: problem.error,
    error_description: description,
    error_codes: [problem.code],
    timestamp,
    trace_id: traceId,
    correlation_id: now.correlationId,
    ...(problem.suberror !== undefined && { suberror: problem.suberror }),
    error_uri: `https://localhost/error?code=${problem.code}`,
  };
  return plainJson(problem.status, body);
}

/** JSON without OData's label. */
export function plainJson(status: number, value: unknown): Answer {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
  return { status, headers, body: JSON.stringify(value) };
}
