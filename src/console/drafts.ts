import { randomBytes } from 'node:crypto';
import type { SubmitPlan } from '../campaign/plan.ts';
import { StanddownError } from '../errors.ts';
import type { IdLine } from '../intake/id-line.ts';
import type { Spool } from '../intake/spool.ts';

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
  /** Where it came from, for people. */
  source: string;
  ids: number;
  /** Lines that are no ids. */
  problems: number;
  /** The first lines, and of the bad ones more. */
  lines: IdLine[];
  /** What a submit would do; null: not known yet; words: why it would do nothing. */
  plan: SubmitPlan | string | null;
  /** What the ids are about, a line each; null: being read. */
  about: string[] | null;
  /** Monotonic ms. */
  madeAt: number;
}

export type Drafts = ReturnType<typeof createDrafts>;

/** Somebody who has not confirmed by then has left, in ms. */
const KEPT_MS = 30 * 60_000;
/** Their ids are on disk, in files without a name, which stay open as long. */
const MOST = 20;

/** Keeps what was handed in until it is confirmed, or nobody comes back. */
export function createDrafts() {
  const drafts = new Map<string, Draft>();

  async function drop(draft: Draft): Promise<void> {
    if (drafts.delete(draft.id)) await draft.spool.close();
  }

  async function dropOld(): Promise<void> {
    const now = performance.now();
    const kept = [...drafts.values()];
    for (const [index, draft] of kept.entries()) {
      if (now - draft.madeAt > KEPT_MS || kept.length - index >= MOST) await drop(draft);
    }
  }

  return {
    add: async (draft: Omit<Draft, 'id' | 'madeAt'>): Promise<Draft> => {
      await dropOld();
      const kept = { ...draft, id: randomBytes(9).toString('base64url'), madeAt: performance.now() };
      drafts.set(kept.id, kept);
      return kept;
    },
    /** @throws StanddownError USAGE */
    find: (id: string, tenant: string, owner: string): Draft => {
      const draft = drafts.get(id);
      const isKept = draft && performance.now() - draft.madeAt <= KEPT_MS;
      if (isKept && draft.tenant === tenant && draft.owner === owner) return draft;
      throw new StanddownError(
        'USAGE',
        'this is not kept any more, or was submitted already: hand it in again',
      );
    },
    /** It is taken out, so that it cannot be submitted twice. The caller closes its spool. */
    take: (draft: Draft): void => void drafts.delete(draft.id),
    drop,
    close: async (): Promise<void> => {
      for (const draft of drafts.values()) await drop(draft);
    },
  };
}
