import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { Answer } from './answer.ts';
import type { Call, Calls } from './calls.ts';
import type { ClientAuth } from './client-auth.ts';
import { type EntraProblem, entraAnswer, PROBLEMS, plainJson } from './entra-error.ts';
import type { Exchange, FaultPlayer } from './fault-player.ts';
import type { Faults } from './faults.ts';
import type { Served } from './operations.ts';
import { CALL } from './server.ts';

export interface SignInDeps {
  clock: Clock;
  calls: Calls;
  faults: Faults;
  player: FaultPlayer;
  tokens: AccessTokens;
  clientAuth: ClientAuth;
  tenantId: string;
  clientId: string;
  /** The one scope that tokens are issued for. */
  scope: string;
  /** The roles that the next token holds. */
  roles: () => readonly string[];
}

type TenantRequest = FastifyRequest<{ Params: { tenant: string } }>;

/** Discovery and the client credentials flow, as msal and other clients use them. */
export function signInRoutes(deps: SignInDeps): FastifyPluginCallback {
  return (app, _options, done) => {
    app.get('/:tenant/v2.0/.well-known/openid-configuration', (request: TenantRequest, reply) => {
      const answer = discover(deps, request);
      reply.code(answer.status).headers(answer.headers).send(answer.body);
    });
    app.get('/:tenant/discovery/v2.0/keys', (_request, reply) => {
      reply.send({ keys: [deps.tokens.jwk] });
    });
    app.route<{ Params: { tenant: string } }>({
      method: 'POST',
      url: '/:tenant/oauth2/v2.0/token',
      onRequest: (request, _reply, next) => {
        const { url, method } = request;
        request.setDecorator(CALL, deps.calls.open({ operation: 'token', id: null, path: url, method }));
        next();
      },
      handler: (request, reply) => proceed(deps, request.getDecorator<Call>(CALL), request, reply),
    });
    done();
  };
}

async function proceed(
  deps: SignInDeps,
  call: Call,
  request: TenantRequest,
  reply: FastifyReply,
): Promise<void> {
  const { faults, player, calls } = deps;
  const form = new URLSearchParams(typeof request.body === 'string' ? request.body : '');
  // msal names its correlation id in the form.
  call.correlationId = form.get('client-request-id') ?? call.correlationId;
  const exchange: Exchange = {
    call,
    calls,
    reply,
    serve: () => serve(deps, call, request, form),
    describe: (status, { code, message }) => {
      const usual =
        status === 429 || status >= 500 ? PROBLEMS.transient(status) : PROBLEMS.wrongSecret(deps.clientId);
      const problem = { ...usual, status, error: code ?? usual.error, text: message ?? usual.text };
      return refusal(deps, call, problem);
    },
  };
  // Nothing is counted here: it makes no difference where a fault sits.
  const fault = faults.take(call, 'gateway') ?? faults.take(call, 'service');
  return fault ? player.play(fault, exchange) : player.serve(exchange);
}

async function serve(
  deps: SignInDeps,
  call: Call,
  request: TenantRequest,
  form: URLSearchParams,
): Promise<Served> {
  const authority = authorityOf(request);
  const problem =
    checkRequest(deps, request.params.tenant, form) ??
    (await deps.clientAuth.check(form, [`${authority}/oauth2/v2.0/token`, `${authority}/v2.0`]));
  if (problem) return { answer: refusal(deps, call, problem), applied: false, verdict: 'unauthorized' };
  const { token, jti, expiresInSeconds } = await deps.tokens.issue({
    appId: deps.clientId,
    roles: deps.roles(),
    user: null,
  });
  call.tokenJti = jti;
  const body = {
    token_type: 'Bearer',
    expires_in: expiresInSeconds,
    ext_expires_in: expiresInSeconds,
    access_token: token,
  };
  return { answer: plainJson(200, body), applied: true, verdict: 'served' };
}

/** Everything about a token request but the credential. */
function checkRequest(deps: SignInDeps, tenant: string, form: URLSearchParams): EntraProblem | null {
  if (tenant !== deps.tenantId) return PROBLEMS.unknownTenant(tenant);
  const grant = form.get('grant_type');
  const clientId = form.get('client_id');
  const scope = form.get('scope');
  if (grant === null) return PROBLEMS.missingParameter('grant_type');
  if (grant !== 'client_credentials') return PROBLEMS.unsupportedGrant(grant);
  if (clientId === null) return PROBLEMS.missingParameter('client_id');
  if (clientId !== deps.clientId) return PROBLEMS.unknownClient(clientId, tenant);
  if (scope === null) return PROBLEMS.missingParameter('scope');
  return checkScope(deps, scope, tenant);
}

/** msal adds OpenID's own scopes to some requests; they mean nothing here. */
function checkScope(deps: SignInDeps, scope: string, tenant: string): EntraProblem | null {
  const scopes = scope
    .split(' ')
    .filter((part) => !['openid', 'profile', 'offline_access', ''].includes(part));
  if (scopes.length !== 1 || !scopes[0]?.endsWith('/.default')) return PROBLEMS.wrongScope(scope);
  if (scopes[0] === deps.scope) return null;
  return PROBLEMS.unknownResource(scopes[0].slice(0, -'/.default'.length), tenant);
}

function discover(deps: SignInDeps, request: TenantRequest): Answer {
  const { tenant } = request.params;
  if (tenant !== deps.tenantId) {
    const now = { wallMs: deps.clock.wall(), correlationId: request.id };
    return entraAnswer(PROBLEMS.unknownTenant(tenant), now);
  }
  const authority = authorityOf(request);
  return plainJson(200, {
    token_endpoint: `${authority}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
    jwks_uri: `${authority}/discovery/v2.0/keys`,
    response_types_supported: ['code'],
    scopes_supported: ['openid'],
    issuer: `${authority}/v2.0`,
    authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${authority}/oauth2/v2.0/devicecode`,
    end_session_endpoint: `${authority}/oauth2/v2.0/logout`,
  });
}

function authorityOf(request: TenantRequest): string {
  return `https://${request.headers.host}/${request.params.tenant}`;
}

function refusal({ clock }: SignInDeps, call: Call, problem: EntraProblem): Answer {
  return entraAnswer(problem, { wallMs: clock.wall(), correlationId: call.correlationId });
}
