import { randomBytes } from 'node:crypto';
import { StanddownError } from '../base/errors.ts';
import type { IdLine } from '../files/in/id-line.ts';
import type { Spool } from '../files/in/spool.ts';
import type { SubmitPlan } from '../store/campaign/plan.ts';

/** Which campaign, and how. */
export interface DraftWish {
  name: string;
  comment: string;
  priority: number;
  /** Null: never. */
  expiresInMs: number | null;
}

/** What was handed in, checked, and not submitted yet. */
export interface Draft {
  id: string;
  /** Whose it is: nobody else confirms it. */
  owner: string;
  tenant: string;
  wish: DraftWish;
  spool: Spool;
  /** The text, where it was pasted and is no longer than is kept. */
  pasted: string | null;
  /** Where it came from, for people. */
  source: string;
  /** Each once. */
  ids: number;
  /** Named before. */
  duplicates: number;
  /** Lines that are no ids. */
  problems: number;
  /** The first lines, and of the bad ones more. */
  lines: IdLine[];
  /** What a submit would do; null: not known yet; words: why it would do nothing. */
  plan: SubmitPlan | string | null;
  /** When that was found out, in ms since 1970. */
  plannedAt: number;
  /** What the ids are about, a line each; null: being read. */
  about: string[] | null;
  /** Why a submit failed on its way; null: none did. */
  failure: string | null;
  /** Monotonic ms. */
  madeAt: number;
}

export type Drafts = ReturnType<typeof createDrafts>;

/** Somebody who has not confirmed by then has left, in ms. */
const KEPT_MS = 30 * 60_000;
/** Their ids are on disk, in files without a name, which stay open as long. */
const MOST = 20;

interface Entry {
  draft: Draft;
  /** Ends what is being found out about it. */
  leave: AbortController;
  /** When that has ended. Never rejects. */
  weighed: Promise<unknown>;
}

/** Finds out about a draft, and notes it there. Its ids stay readable until it settles. */
type Weigh = (draft: Draft, signal: AbortSignal) => Promise<void>;

/** Keeps what was handed in until it is submitted, or nobody comes back. */
export function createDrafts() {
  const drafts = new Map<string, Entry>();

  /** Its ids are closed when nothing reads them any more, for which nobody waits. */
  function release({ draft, leave, weighed }: Entry): void {
    leave.abort();
    void weighed.then(() => draft.spool.close()).catch(() => undefined);
  }

  function drop({ id }: Draft): void {
    const entry = drafts.get(id);
    if (drafts.delete(id) && entry) release(entry);
  }

  function dropOld(): void {
    const now = performance.now();
    const kept = [...drafts.values()];
    for (const [index, { draft }] of kept.entries()) {
      if (now - draft.madeAt > KEPT_MS || kept.length - index >= MOST) drop(draft);
    }
  }

  return {
    add: (handed: Omit<Draft, 'id' | 'madeAt'>, weigh: Weigh): Draft => {
      dropOld();
      const draft = { ...handed, id: randomBytes(9).toString('base64url'), madeAt: performance.now() };
      const leave = new AbortController();
      const weighed = weigh(draft, leave.signal).catch(() => undefined);
      drafts.set(draft.id, { draft, leave, weighed });
      return draft;
    },
    /** @throws StanddownError USAGE */
    find: (id: string, tenant: string, owner: string): Draft => {
      const draft = drafts.get(id)?.draft;
      const isKept = draft && performance.now() - draft.madeAt <= KEPT_MS;
      if (isKept && draft.tenant === tenant && draft.owner === owner) return draft;
      throw new StanddownError(
        'USAGE',
        'These actions were submitted already, or are no longer kept. To submit them, check them again.',
      );
    },
    /** Takes it out meanwhile, so that it is not submitted twice. Where that fails, it can be done again. */
    use: async <T>(draft: Draft, submit: () => Promise<T>): Promise<T> => {
      const entry = drafts.get(draft.id);
      drafts.delete(draft.id);
      try {
        const result = await submit();
        if (entry) release(entry);
        return result;
      } catch (error) {
        if (entry) drafts.set(draft.id, entry);
        throw error;
      }
    },
    drop,
    /** At once: nothing is found out any more. */
    close: async (): Promise<void> => {
      for (const { draft, leave } of drafts.values()) {
        leave.abort();
        await draft.spool.close();
      }
      drafts.clear();
    },
  };
}
