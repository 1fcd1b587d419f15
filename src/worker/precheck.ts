import type { Clock } from '../base/clock.ts';
import { bytesToGuid, guidToBytes } from '../base/guid.ts';
import type { Logger } from '../base/log.ts';
import type { Timings } from '../config/timings.ts';
import { classify, isFinal, seenOf } from '../defender/classify.ts';
import { type DefenderClient, IDS_PER_LIST, readPage } from '../defender/client.ts';
import { createReadRefusals } from '../defender/read-refusals.ts';
import { mayRead } from '../defender/roles.ts';
import { type SignIn, SignInError } from '../defender/sign-in.ts';
import type { OperationBudget } from '../store/budget/operation.ts';
import type { Ledger } from '../store/ledger/ledger.ts';

export interface PrecheckDeps {
  ledger: Ledger;
  signIn: SignIn;
  client: DefenderClient;
  /** The list's own budget. */
  budget: OperationBudget;
  clock: Clock;
  callTimeoutMs: number;
  timings: Timings;
  log: Logger;
}

/** Ids as lower-case GUIDs: those that are settled, and those that the list shows. */
export interface Prechecked {
  settled: ReadonlySet<string>;
  listed: ReadonlySet<string>;
}

export type Precheck = (campaign: number, ids: Buffer[]) => Promise<Prechecked>;

/**
 * Lists the next ids shortly before their turn and settles those that have ended already, so that no cancel is spent on
 * them. Optional in every way: without the permission, without a slot of the list's budget or without an answer, the
 * ids are simply called. So is an id that the list does not show.
 */
export function createPrecheck(deps: PrecheckDeps): Precheck {
  const { ledger, timings, log } = deps;
  /** Refused once, it is not asked again for a while: a permission is not granted between two pages. */
  let silentUntil = 0;
  const refusals = createReadRefusals();

  async function list(ids: readonly string[]) {
    const token = await tokenIfAny();
    if (token === null || !mayRead(token.roles) || refusals.isRefused(token)) return [];
    const grant = await deps.budget.take('list');
    if (!grant) return [];
    const answer = await deps.client.list(ids, {
      accessToken: token.accessToken,
      timeoutMs: Math.max(1, Math.min(deps.callTimeoutMs, timings.precheckPatienceMs) - grant.term.elapsed()),
      maySend: () => !deps.signIn.isRefused(token) && grant.term.maySend(),
    });
    const meaning =
      answer.kind === 'answer' && answer.status === 200 ? null : classify(answer, '', deps.clock.wall());
    if (meaning?.kind === 'unauthorized') deps.signIn.refuse(token);
    const fate = answer.kind === 'answer' ? 'answered' : answer.kind;
    const penaltyMs = meaning?.kind === 'throttled' ? meaning.retryAfterMs : 0;
    const busyMs = meaning?.kind === 'fault' ? (meaning.retryAfterMs ?? 0) : 0;
    const page = answer.kind === 'answer' && !meaning ? readPage(answer) : null;
    await deps.budget.settle('list', grant, fate, penaltyMs, page ? 'alive' : { busyMs });
    refusals.note(token, meaning);
    if (meaning) {
      silentUntil = deps.clock.monotonic() + timings.precheckSilenceMs;
      log.info({ answer: meaning.kind, ...meaning.detail }, 'precheck failed; skipping it for a while');
      return [];
    }
    return page ?? [];
  }

  /** No token is no reason not to feed: whoever calls meets the same trouble, and holds with the reason. */
  async function tokenIfAny() {
    try {
      return await deps.signIn.token();
    } catch (error) {
      if (error instanceof SignInError) return null;
      throw error;
    }
  }

  return async (campaign, ids) => {
    const settled = new Set<string>();
    const listed = new Set<string>();
    if (deps.clock.monotonic() < silentUntil) return { settled, listed };
    for (let at = 0; at < ids.length; at += IDS_PER_LIST) {
      const asked = ids.slice(at, at + IDS_PER_LIST).map((id) => bytesToGuid(id));
      const actions = await list(asked);
      for (const action of actions) {
        // Only what was asked for: a list that ignores the filter must not settle anything else.
        if (!asked.includes(action.id)) continue;
        listed.add(action.id);
        if (!isFinal(action.summary)) continue;
        const answer = await ledger.settle(campaign, guidToBytes(action.id), seenOf(action));
        if (answer.kind !== 'settled') continue;
        settled.add(action.id);
        log.info(
          { id: action.id, outcome: 'already_final', attempts: 0, status: action.summary.status },
          'action finished',
        );
      }
    }
    return { settled, listed };
  };
}
