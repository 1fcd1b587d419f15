import { randomUUID } from 'node:crypto';
import type { Dispatcher } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { describeDuration } from '../../base/duration.ts';
import { unreachable } from '../../base/errors.ts';
import type { Detail } from '../../base/outcome.ts';
import { withCode } from '../../base/words/code.ts';
import { PROXY_PASSWORD } from '../../config/proxy.ts';
import { classify, type Meaning } from '../../defender/classify.ts';
import { type CallOptions, type DefenderClient, readListing } from '../../defender/client.ts';
import { exchange, type HttpAnswer, type NoAnswer, PROXY_AUTH_REQUIRED } from '../../defender/exchange.ts';
import { mayRead } from '../../defender/roles.ts';
import type { Token } from '../../defender/sign-in.ts';
import type { OperationBudget, SlotGrant } from '../../store/budget/operation.ts';
import { type Finding, findingsOf } from './finding.ts';

const api = findingsOf('api');

export interface ApiDeps {
  apiUrl: string;
  client: DefenderClient;
  dispatcher: Dispatcher;
  /** Null: Redis is away, and with it the count of calls. */
  budget: OperationBudget | null;
  /** Null: there is none to be had. */
  token: Token | null;
  clock: Clock;
  timeoutMs: number;
  signal: AbortSignal;
}

/** A new epoch opens and its grace is waited for; once more if Redis is restarted in the meantime. */
const MOST_TURNS = 5;

/**
 * Looks whether the API answers, without cancelling anything: with a Get for an id that does not exist, in Get's own budget,
 * where that is permitted; else with a request that asks for nothing. An answer that anything may give, such as a 404 without the
 * API's error object, is held against the list: what lists machine actions is the API.
 */
export async function examineApi(deps: ApiDeps): Promise<Finding> {
  const { token, budget } = deps;
  const mayAsk = token !== null && mayRead(token.roles);
  return (mayAsk && budget ? await askForNobody(deps, token, budget) : null) ?? knock(deps);
}

/** Null where Get's budget has no slot just now. */
async function askForNobody(deps: ApiDeps, token: Token, budget: OperationBudget): Promise<Finding | null> {
  const id = randomUUID();
  const asked = await ask(deps, token, budget, 'get', (options) => deps.client.get(id, options), id);
  if (!asked) return null;
  const finding = judgeGet(asked.meaning, deps.apiUrl, asked.tookMs);
  if (finding.level === 'ok' || asked.meaning.detail.httpStatus !== 404) return finding;
  return (await askForList(deps, token, budget)) ?? finding;
}

/** Null: the list cannot be asked just now, or does not answer like the API's. */
async function askForList(deps: ApiDeps, token: Token, budget: OperationBudget): Promise<Finding | null> {
  const asked = await ask(deps, token, budget, 'list', (options) => deps.client.page('?$top=1', options));
  if (asked?.answer.kind !== 'answer' || asked.answer.status !== 200) return null;
  if (readListing(asked.answer) === null) return null;
  return api.ok({
    finding: `The API at ${deps.apiUrl} answered as expected in ${Math.round(asked.tookMs)} ms`,
    meaning:
      'It lists machine actions. For an unknown action it answered with a status only, without a reason.',
  });
}

interface Asked {
  answer: HttpAnswer | NoAnswer;
  meaning: Meaning;
  tookMs: number;
}

/** One call in the operation's own budget; null where that has no slot just now. */
async function ask(
  { clock, timeoutMs, signal }: ApiDeps,
  { accessToken }: Token,
  budget: OperationBudget,
  operation: 'get' | 'list',
  call: (options: CallOptions) => Promise<Asked['answer']>,
  id = '',
): Promise<Asked | null> {
  const grant = await takeAfterGrace({ clock, signal }, budget, operation);
  if (!grant) return null;
  const sentAt = clock.monotonic();
  const answer = await call({
    accessToken,
    timeoutMs: Math.max(1, timeoutMs - grant.term.elapsed()),
    signal,
    maySend: grant.term.maySend,
  });
  const tookMs = clock.monotonic() - sentAt;
  const meaning = classify(answer, id, clock.wall());
  const penaltyMs = meaning.kind === 'throttled' ? meaning.retryAfterMs : 0;
  await budget.settle(operation, grant, answer.kind === 'answer' ? 'answered' : answer.kind, penaltyMs);
  return { answer, meaning, tookMs };
}

/** A Redis that is new or was restarted gives no slot for some seconds. That is waited for; a full window is not. */
async function takeAfterGrace(
  { clock, signal }: Pick<ApiDeps, 'clock' | 'signal'>,
  budget: OperationBudget,
  operation: 'get' | 'list',
): Promise<SlotGrant | null> {
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    const asked = await budget.ask(operation);
    if (asked.kind === 'granted') return asked.grant;
    if (asked.reason !== 'grace') return null;
    await clock.sleep(asked.waitMs + 1, signal);
  }
  return null;
}

/** What the answer to a Get for an id that does not exist says about the API. */
export function judgeGet(meaning: Meaning, apiUrl: string, tookMs: number): Finding {
  const said = describe(meaning.detail);
  switch (meaning.kind) {
    case 'not_found':
      if (!meaning.detail.errorMessage) return judgeStranger(said, apiUrl);
      return api.ok({
        finding: `The API at ${apiUrl} answered as expected in ${Math.round(tookMs)} ms`,
        meaning: 'Doctor asked for a machine action that does not exist; the API answered 404.',
      });
    case 'unauthorized':
      return api.problem({
        finding: `The API at ${apiUrl} rejects the token: ${said}`,
        meaning: 'Nothing can be cancelled until the API accepts the token.',
        advice:
          'The token is for another cloud or API. Remove DEFENDER_SCOPE and DEFENDER_API_URL, or correct DEFENDER_CLOUD.',
      });
    case 'throttled':
      return api.warning({
        finding: `The API at ${apiUrl} asks to wait ${describeDuration(meaning.retryAfterMs)}: ${said}`,
        meaning:
          'The API limits calls and processor time for each tenant and application. A single refusal does not show which limit was reached.',
        advice: 'If this continues, check which other programs use this application, and give each its own.',
      });
    case 'forbidden':
      return api.warning({
        finding: `The API at ${apiUrl} refuses to read a machine action: ${said}`,
        meaning: 'The token has a permission to read, but the API refuses it. Cancels may be refused, too.',
        advice: 'New permissions take a few minutes to apply. Start with a campaign of one action.',
      });
    case 'fault':
      return judgeFault(meaning.detail, apiUrl);
    case 'inconclusive':
      return judgeStranger(said, apiUrl);
    case 'action':
    case 'bad_request':
    case 'rejected':
      return api.warning({
        finding: `The API at ${apiUrl} gave an unexpected answer for a machine action that does not exist: ${said}`,
        meaning: 'This may not be the Defender for Endpoint API.',
        advice: 'Check DEFENDER_API_URL, and start with a campaign of one action.',
      });
    default:
      return unreachable(meaning);
  }
}

/** A router, a gateway or a proxy answers with the same statuses. */
function judgeStranger(said: string, apiUrl: string): Finding {
  return api.problem({
    finding: `${apiUrl} does not answer like the Defender API: ${said}`,
    meaning:
      'The API gives a reason when it refuses a call. A wrong address, or a gateway in between, does not.',
    advice:
      'Check DEFENDER_API_URL. It is the base address of the API, for example https://api.security.microsoft.com.',
  });
}

/** Any answer counts: a request without a token is refused by whatever it is. */
async function knock({ apiUrl, dispatcher, token, budget, ...deps }: ApiDeps): Promise<Finding> {
  const answer = await exchange(dispatcher, {
    origin: new URL(apiUrl).origin,
    path: '/',
    method: 'GET',
    headers: { 'user-agent': 'standdown' },
    timeoutMs: deps.timeoutMs,
    signal: deps.signal,
  });
  if (answer.kind !== 'answer') return judgeFault(detailOf(answer), apiUrl);
  const why =
    token === null
      ? 'Without a token'
      : !mayRead(token.roles)
        ? 'Without a permission to read'
        : budget === null
          ? 'Without Redis, which counts the calls'
          : 'While reading is blocked';
  return api.ok({
    finding: `The API at ${apiUrl} is reachable (answered ${answer.status})`,
    meaning: `${why}, doctor cannot check more.`,
  });
}

function judgeFault(detail: Detail, apiUrl: string): Finding {
  const isDown = detail.httpStatus !== undefined;
  return api.problem({
    finding: `The API at ${apiUrl} ${isDown ? 'is unavailable' : 'is unreachable'}: ${describe(detail)}`,
    meaning: 'Nothing can be cancelled for now. Workers wait and retry on their own.',
    advice: isDown
      ? 'Check the service health of the tenant, and try again. If the answer is an HTML page, a proxy or gateway sent it.'
      : (ADVICE[detail.errorCode ?? ''] ?? NETWORK),
  });
}

const NETWORK = 'Check DEFENDER_API_URL, DNS, HTTPS_PROXY and the firewall.';
const TRUST =
  'If your own proxy inspects TLS, set NODE_EXTRA_CA_CERTS in the environment to the file with its certificate authority.';

const ADVICE: Readonly<Record<string, string>> = {
  ENOTFOUND: 'The host name is unknown. Check DEFENDER_API_URL and DNS.',
  [PROXY_AUTH_REQUIRED]: PROXY_PASSWORD,
  PROXY_REFUSED: 'Let the proxy of HTTPS_PROXY connect to this host, or name the host in NO_PROXY.',
  EAI_AGAIN: 'The host name could not be resolved. Check DNS and the network.',
  SELF_SIGNED_CERT_IN_CHAIN: TRUST,
  DEPTH_ZERO_SELF_SIGNED_CERT: TRUST,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: TRUST,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: TRUST,
};

function detailOf({ code, message }: NoAnswer): Detail {
  return { errorCode: code, errorMessage: message };
}

function describe({ httpStatus, errorCode, errorMessage }: Detail): string {
  return [httpStatus, withCode(errorCode, errorMessage)].filter(Boolean).join(': ') || 'no details';
}
