import { unreachable } from '../base/errors.ts';
import { type Answer, type ErrorText, errorAnswer, jsonAnswer } from './answer.ts';
import type { BehaviourSwitch } from './behaviour.ts';
import type { ApiOperation, Call, Verdict } from './calls.ts';
import { parseListQuery, readPage } from './listing.ts';
import type { MachineAction } from './machine-action.ts';
import { holdsAny, rolesForType } from './permissions.ts';
import type { ActionStore } from './store.ts';

/** What serving a call came to. */
export interface Served {
  answer: Answer;
  applied: boolean;
  verdict: Verdict;
}

export interface ServeInput {
  call: Call;
  /** Scheme and host as the client named them, for absolute links. */
  origin: string;
  roles: readonly string[];
  comment: CommentReading;
}

export type CommentReading = { ok: true; comment: string } | { ok: false; message: string };

export interface OperationsDeps {
  store: ActionStore;
  behaviour: BehaviourSwitch;
  pageSize: number;
  /** Who the API says cancelled an action: an application goes by its id. */
  clientId: string;
}

export type Operations = Record<ApiOperation, (input: ServeInput) => Served>;

/** What the three operations do once a call is let through. */
export function createOperations(deps: OperationsDeps): Operations {
  return {
    cancel: (input) => cancel(deps, input),
    get: ({ call, origin }) => {
      const action = deps.store.find(call.id ?? '');
      return action ? served(entity(origin, action)) : notFound(call);
    },
    list: (input) => list(deps, input),
  };
}

/** Reads the body of a cancel. Names are case-sensitive; what else it holds is ignored. */
export function readComment(contentType: string | undefined, body: unknown): CommentReading {
  if (!contentType?.toLowerCase().startsWith('application/json')) {
    return { ok: false, message: 'The Content-Type must be application/json.' };
  }
  const parsed = parseJson(body);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    return { ok: false, message: 'Request body is incorrect.' };
  }
  const comment: unknown = 'Comment' in parsed ? parsed.Comment : undefined;
  if (typeof comment === 'string' && comment.trim() !== '') return { ok: true, comment };
  return { ok: false, message: 'The Comment field is required.' };
}

function parseJson(body: unknown): unknown {
  try {
    return typeof body === 'string' ? JSON.parse(body) : null;
  } catch {
    return null;
  }
}

function cancel(deps: OperationsDeps, { call, origin, roles, comment }: ServeInput): Served {
  if (!comment.ok) return failed(call, 400, { code: 'InvalidRequestBody', message: comment.message });
  const { store, behaviour } = deps;
  const action = store.find(call.id ?? '');
  if (!action) return notFound(call);
  const { permissionMustMatchType, finalState } = behaviour.now();
  if (permissionMustMatchType && !holdsAny(roles, rolesForType(action.type))) return forbidden(call);
  const result = store.cancel({ id: action.id, comment: comment.comment, requestor: deps.clientId });
  switch (result.kind) {
    case 'not-found':
      return notFound(call);
    case 'already-final':
      return finalState === '200' ? served(entity(origin, action)) : alreadyFinal(call, action);
    case 'taken':
      return { ...served(entity(origin, result.action)), applied: result.applied };
    default:
      return unreachable(result);
  }
}

function list(deps: OperationsDeps, { call, origin }: ServeInput): Served {
  const query = parseListQuery(searchOf(call.path));
  if (typeof query === 'string') return failed(call, 400, { code: 'ODataError', message: query });
  const page = readPage(deps.store.all(), query, deps.pageSize);
  return served(
    jsonAnswer(200, {
      '@odata.context': contextOf(origin),
      value: page.items,
      ...(page.nextQuery !== null && { '@odata.nextLink': `${origin}/api/machineactions?${page.nextQuery}` }),
    }),
  );
}

function searchOf(path: string): string {
  const mark = path.indexOf('?');
  return mark === -1 ? '' : path.slice(mark + 1);
}

function entity(origin: string, action: MachineAction): Answer {
  return jsonAnswer(200, { '@odata.context': `${contextOf(origin)}/$entity`, ...action });
}

function contextOf(origin: string): string {
  return `${origin}/api/$metadata#MachineActions`;
}

function served(answer: Answer): Served {
  return { answer, applied: false, verdict: 'served' };
}

function failed(call: Call, status: number, text: ErrorText): Served {
  return served(errorAnswer(status, text, call.correlationId));
}

function notFound(call: Call): Served {
  return failed(call, 404, { message: `Resource ${call.id} was not found.` });
}

function alreadyFinal(call: Call, { status }: MachineAction): Served {
  const message = `The machine action is already in a final state (${status}) and cannot be cancelled.`;
  return failed(call, 400, { message });
}

/** The token is good, but holds none of the roles. */
export function forbidden(call: Call): Served {
  const message = 'The application does not have any of the required application permissions.';
  return { ...failed(call, 403, { message }), verdict: 'forbidden' };
}
