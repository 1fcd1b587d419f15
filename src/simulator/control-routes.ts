import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { type ZodType, z } from 'zod';
import { errorAnswer } from './answer.ts';
import type { SimulatorAddresses, SimulatorControls } from './handle.ts';
import {
  actionsSchema,
  behaviourSchema,
  callsQuerySchema,
  certificatesSchema,
  faultRuleSchema,
  faultRulesSchema,
  limitsSchema,
  loginEndSchema,
  loginSchema,
  peakQuerySchema,
  rolesSchema,
  spendSchema,
  summaryQuerySchema,
} from './schema.ts';

export interface ControlRoutesDeps {
  controls: SimulatorControls;
  /** Read at each request: the ports are known only once the servers listen. */
  addresses: Readonly<SimulatorAddresses>;
}

/** Room for some hundred thousand actions at once. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

type Handle = (request: FastifyRequest, reply: FastifyReply) => void;

/** The controls over HTTP, for tests whose simulator is another process. Bodies and answers are JSON. */
export function controlRoutes({ controls, addresses }: ControlRoutesDeps): FastifyPluginCallback {
  return (app, _options, done) => {
    const post = (url: string, handler: Handle) => app.post(url, { bodyLimit: MAX_BODY_BYTES }, handler);
    app.setNotFoundHandler((request, reply) => {
      reply.code(404).send({ error: { code: 'NotFound', message: `No control ${request.url}.` } });
    });

    app.get('/info', (_request, reply) => reply.send({ result: addresses }));
    post(
      '/actions',
      onBody(actionsSchema, (actions) => controls.addActions(actions)),
    );
    post(
      '/faults',
      onBody(faultRulesSchema, (rules) => controls.setFaults(rules)),
    );
    post(
      '/faults/add',
      onBody(faultRuleSchema, (rule) => controls.addFault(rule)),
    );
    post(
      '/roles',
      onBody(rolesSchema, (roles) => controls.setRoles(roles)),
    );
    post(
      '/limits',
      onBody(limitsSchema, (patch) => controls.setLimits(patch)),
    );
    post(
      '/behaviour',
      onBody(behaviourSchema, (patch) => controls.setBehaviour(patch)),
    );
    post(
      '/spend',
      onBody(spendSchema, ({ operation, n }) => controls.spend(operation, n)),
    );
    post(
      '/revoke-tokens',
      onBody(z.unknown(), () => controls.revokeTokens()),
    );
    post(
      '/client-certificates',
      onBody(certificatesSchema, (certificates) => controls.setClientCertificates(certificates)),
    );
    post(
      '/login',
      onBody(loginSchema, ({ userCode, decision }) => controls.decideLogin(userCode, decision)),
    );
    post(
      '/end-logins',
      onBody(loginEndSchema, ({ how }) => controls.endLogins(how)),
    );
    post(
      '/reset',
      onBody(z.unknown(), () => controls.reset()),
    );

    app.get(
      '/calls',
      onQuery(callsQuerySchema, (query) => selectCalls(controls, query)),
    );
    app.get(
      '/peak',
      onQuery(peakQuerySchema, (query) => controls.peak(query.operation, query.windowMs)),
    );
    app.get(
      '/summary',
      onQuery(summaryQuerySchema, ({ windowMs }) => controls.summary(windowMs)),
    );
    app.get<{ Params: { id: string } }>('/actions/:id', (request, reply) => {
      reply.send({ result: controls.action(request.params.id) });
    });
    done();
  };
}

function selectCalls(controls: SimulatorControls, query: z.infer<typeof callsQuerySchema>) {
  return controls
    .calls(query.since)
    .filter((call) => query.id === undefined || call.id === query.id.toLowerCase())
    .filter((call) => query.verdict === undefined || call.verdict === query.verdict);
}

function onBody<Input>(schema: ZodType<Input>, act: (input: Input) => unknown): Handle {
  return (request, reply) => {
    const text = typeof request.body === 'string' ? request.body : 'null';
    answer(reply, schema.safeParse(parseJson(text)), act);
  };
}

function onQuery<Input>(schema: ZodType<Input>, read: (query: Input) => unknown): Handle {
  return (request, reply) => answer(reply, schema.safeParse(request.query), read);
}

function answer<Input>(
  reply: FastifyReply,
  parsed: z.ZodSafeParseResult<Input>,
  act: (input: Input) => unknown,
): void {
  if (parsed.success) {
    reply.send({ result: act(parsed.data) ?? null });
    return;
  }
  const problem = errorAnswer(
    400,
    { code: 'InvalidRequestBody', message: z.prettifyError(parsed.error) },
    'control',
  );
  reply.code(400).headers(problem.headers).send(problem.body);
}

/** What is no JSON fails the schema. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
