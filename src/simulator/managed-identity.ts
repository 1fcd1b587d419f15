import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../base/clock.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { Answer } from './answer.ts';
import type { Call, Calls } from './calls.ts';
import { plainJson } from './entra-error.ts';
import type { FaultPlayer } from './fault-player.ts';
import type { Faults } from './faults.ts';
import type { Served } from './operations.ts';
import { CALL } from './server.ts';

export interface ManagedIdentityDeps {
  clock: Clock;
  calls: Calls;
  faults: Faults;
  player: FaultPlayer;
  tokens: AccessTokens;
  tenantId: string;
  /** Of the system-assigned identity; null: there is none. */
  systemIdentity: string | null;
  /** Client ids of the user-assigned ones. */
  userIdentities: readonly string[];
  /** What whoever asks App Service's endpoint has to send along. */
  identityHeader: string;
  scope: string;
  roles: () => readonly string[];
}

type Query = Readonly<Record<string, string | undefined>>;
type TokenRequest = FastifyRequest<{ Querystring: Query }>;

/** Why no token is given. */
interface Objection {
  status: number;
  error: string;
  text: string;
}

/** How the two kinds of endpoint differ. */
interface Endpoint {
  url: string;
  apiVersion: string;
  /** The header that keeps out those who were led here (SSRF). */
  header: (deps: ManagedIdentityDeps) => [name: string, value: string];
  refuse(objection: Objection): Answer;
}

const ENDPOINTS: readonly Endpoint[] = [
  {
    // App Service, as IDENTITY_ENDPOINT names it.
    url: '/msi/token',
    apiVersion: '2019-08-01',
    header: ({ identityHeader }) => ['x-identity-header', identityHeader],
    refuse: ({ status, text }) => plainJson(status, { statusCode: status, message: text }),
  },
  {
    // The instance metadata service of a virtual machine.
    url: '/metadata/identity/oauth2/token',
    apiVersion: '2018-02-01',
    header: () => ['metadata', 'true'],
    refuse: ({ status, error, text }) => plainJson(status, { error, error_description: text }),
  },
];

/** Where a managed identity gets its tokens: on App Service and on a virtual machine. */
export function managedIdentityRoutes(deps: ManagedIdentityDeps): FastifyPluginCallback {
  return (app, _options, done) => {
    for (const endpoint of ENDPOINTS) {
      const handle = {
        method: 'GET',
        onRequest: (request: TokenRequest, _reply: FastifyReply, next: () => void) => {
          const { url, method } = request;
          request.setDecorator(CALL, deps.calls.open({ operation: 'token', id: null, path: url, method }));
          next();
        },
        handler: (request: TokenRequest, reply: FastifyReply) => proceed(deps, endpoint, request, reply),
      } as const;
      app.route({ ...handle, url: endpoint.url });
      // msal ends an address that it was told of in a slash.
      app.route({ ...handle, url: `${endpoint.url}/` });
    }
    done();
  };
}

async function proceed(
  deps: ManagedIdentityDeps,
  endpoint: Endpoint,
  request: TokenRequest,
  reply: FastifyReply,
): Promise<void> {
  const { calls, faults, player } = deps;
  const call = request.getDecorator<Call>(CALL);
  const exchange = {
    call,
    calls,
    reply,
    serve: () => serve(deps, endpoint, request, call),
    describe: (
      status: number,
      {
        code = 'server_error',
        message = 'Failed.',
      }: { code?: string | undefined; message?: string | undefined },
    ) => endpoint.refuse({ status, error: code, text: message }),
  };
  const fault = faults.take(call, 'gateway') ?? faults.take(call, 'service');
  return fault ? player.play(fault, exchange) : player.serve(exchange);
}

async function serve(
  deps: ManagedIdentityDeps,
  endpoint: Endpoint,
  request: TokenRequest,
  call: Call,
): Promise<Served> {
  const identity = identify(deps, endpoint, request);
  if (typeof identity !== 'string')
    return { answer: endpoint.refuse(identity), applied: false, verdict: 'unauthorized' };
  const { token, jti, expiresAt } = await deps.tokens.issue(
    { appId: identity, roles: deps.roles(), user: null },
    deps.tenantId,
  );
  call.tokenJti = jti;
  const body = {
    access_token: token,
    client_id: identity,
    expires_on: String(expiresAt),
    resource: resourceOf(deps),
    token_type: 'Bearer',
  };
  return { answer: plainJson(200, body), applied: true, verdict: 'served' };
}

/** The client id of the identity that is asked for, or why there is none. */
function identify(
  deps: ManagedIdentityDeps,
  { apiVersion, header }: Endpoint,
  { headers, query }: TokenRequest,
): string | Objection {
  const [name, value] = header(deps);
  if (headers[name] !== value)
    return { status: 400, error: 'bad_request_102', text: `Required header ${name} is missing or wrong` };
  if (query['api-version'] !== apiVersion)
    return { status: 400, error: 'bad_request', text: `The api-version must be ${apiVersion}` };
  if (query['resource'] !== resourceOf(deps))
    return {
      status: 400,
      error: 'invalid_resource',
      text: `AADSTS500011: The resource principal named ${query['resource']} was not found in the tenant.`,
    };
  const wanted = query['client_id'];
  const found = wanted === undefined ? deps.systemIdentity : deps.userIdentities.find((id) => id === wanted);
  return found ?? { status: 400, error: 'invalid_request', text: 'Identity not found' };
}

function resourceOf({ scope }: ManagedIdentityDeps): string {
  return scope.replace(/\/\.default$/, '');
}
