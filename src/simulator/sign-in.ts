import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../base/clock.ts';
import type { Answer } from './answer.ts';
import type { Call, Calls } from './calls.ts';
import { type EntraProblem, entraAnswer, PROBLEMS, plainJson } from './entra-error.ts';
import type { Exchange, FaultPlayer } from './fault-player.ts';
import type { Faults } from './faults.ts';
import { type GrantDeps, grantOf } from './grants.ts';
import type { Served } from './operations.ts';
import { CALL } from './server.ts';

export interface SignInDeps extends GrantDeps {
  clock: Clock;
  calls: Calls;
  faults: Faults;
  player: FaultPlayer;
}

type TenantRequest = FastifyRequest<{ Params: { tenant: string } }>;

/** Discovery, the client credentials flow and the device code flow, as msal and other clients use them. */
export function signInRoutes(deps: SignInDeps): FastifyPluginCallback {
  return (app, _options, done) => {
    app.get('/:tenant/v2.0/.well-known/openid-configuration', (request: TenantRequest, reply) => {
      const answer = discover(deps, request);
      reply.code(answer.status).headers(answer.headers).send(answer.body);
    });
    app.get('/:tenant/discovery/v2.0/keys', (_request, reply) => {
      reply.send({ keys: [deps.tokens.jwk] });
    });
    for (const [url, serve] of [
      ['/:tenant/oauth2/v2.0/token', serveToken],
      ['/:tenant/oauth2/v2.0/devicecode', serveDeviceCode],
    ] as const) {
      app.route<{ Params: { tenant: string } }>({
        method: 'POST',
        url,
        onRequest: (request, _reply, next) => {
          const { url: path, method, params } = request;
          const seen = { tenantId: params.tenant, operation: 'token', id: null, path, method } as const;
          request.setDecorator(CALL, deps.calls.open(seen));
          next();
        },
        handler: (request, reply) => proceed(deps, serve, request.getDecorator<Call>(CALL), request, reply),
      });
    }
    done();
  };
}

type Serve = (
  deps: SignInDeps,
  call: Call,
  request: TenantRequest,
  form: URLSearchParams,
) => Served | Promise<Served>;

async function proceed(
  deps: SignInDeps,
  serve: Serve,
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

async function serveToken(
  deps: SignInDeps,
  call: Call,
  request: TenantRequest,
  form: URLSearchParams,
): Promise<Served> {
  const name = form.get('grant_type');
  if (name === null) return refused(deps, call, PROBLEMS.missingParameter('grant_type'));
  const grant = grantOf(name);
  const problem = grant ? checkRequest(deps, request, form) : PROBLEMS.unsupportedGrant(name);
  if (problem || !grant) return refused(deps, call, problem ?? PROBLEMS.unsupportedGrant(name));
  const granted = await grant(deps, {
    form,
    authority: authorityOf(request),
    tenantId: request.params.tenant,
  });
  if ('problem' in granted) return refused(deps, call, granted.problem);
  const { token, jti, expiresInSeconds } = granted.issued;
  call.tokenJti = jti;
  const body = {
    token_type: 'Bearer',
    expires_in: expiresInSeconds,
    ext_expires_in: expiresInSeconds,
    access_token: token,
    ...granted.more,
  };
  return { answer: plainJson(200, body), applied: true, verdict: 'served' };
}

/** Begins a login: the user enters the code on another device. */
function serveDeviceCode(
  deps: SignInDeps,
  call: Call,
  request: TenantRequest,
  form: URLSearchParams,
): Served {
  const problem = checkRequest(deps, request, form);
  if (problem) return refused(deps, call, problem);
  const { deviceCode, userCode, lifetimeSeconds, intervalSeconds } = deps.logins.begin();
  const uri = `https://${request.headers.host}/device`;
  const body = {
    device_code: deviceCode,
    user_code: userCode,
    verification_uri: uri,
    expires_in: lifetimeSeconds,
    interval: intervalSeconds,
    message: `To sign in, use a web browser to open the page ${uri} and enter the code ${userCode} to authenticate.`,
  };
  return { answer: plainJson(200, body), applied: false, verdict: 'served' };
}

/** Everything about a request but what it is granted for. */
function checkRequest(deps: SignInDeps, request: TenantRequest, form: URLSearchParams): EntraProblem | null {
  const { tenant } = request.params;
  if (!deps.tenantIds.includes(tenant)) return PROBLEMS.unknownTenant(tenant);
  const clientId = form.get('client_id');
  const scope = form.get('scope');
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
  if (!deps.tenantIds.includes(tenant)) {
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

function refused(deps: SignInDeps, call: Call, problem: EntraProblem): Served {
  return { answer: refusal(deps, call, problem), applied: false, verdict: 'unauthorized' };
}

function refusal({ clock }: SignInDeps, call: Call, problem: EntraProblem): Answer {
  return entraAnswer(problem, { wallMs: clock.wall(), correlationId: call.correlationId });
}
