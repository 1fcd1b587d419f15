import type { Role } from './session.ts';

/** What a request takes while it is answered. */
export type Use = 'page' | 'stream' | 'export' | 'upload';

/** At once: of one session, and of all sessions with the same role. Who may only read takes no place of those who may act. */
const MOST: Readonly<Record<Use, { ofSession: number; ofRole: number }>> = {
  page: { ofSession: 12, ofRole: 32 },
  stream: { ofSession: 8, ofRole: 60 },
  export: { ofSession: 2, ofRole: 4 },
  upload: { ofSession: 2, ofRole: 4 },
};

const WORDS: Readonly<Record<Use, [ofSession: string, ofRole: string]>> = {
  page: [
    'Too many requests of your session are in progress. Wait until they end, then try again.',
    'The console is answering too many requests. Try again in a moment.',
  ],
  stream: [
    'Too many pages of your session are open. Close some of them.',
    'Too many pages of the console are open. Close some of them.',
  ],
  export: [
    'Two exports of your session are in progress. Wait until one ends, then try again.',
    'Too many exports are in progress. Try again later, or use "standdown report".',
  ],
  upload: [
    'Two uploads of your session are in progress. Wait until one ends, then try again.',
    'Too many uploads are in progress. Try again later, or use "standdown submit".',
  ],
};

export interface Refusal {
  status: 429 | 503;
  words: string;
}

export type Admission = ReturnType<typeof createAdmission>;

/** Lets in only so much at once, before anything of it is read: what is held in memory does not grow with who asks. */
export function createAdmission() {
  const counts = new Map<string, number>();
  const add = (key: string, change: number) => {
    const count = (counts.get(key) ?? 0) + change;
    if (count > 0) counts.set(key, count);
    else counts.delete(key);
  };

  return {
    /** @returns what ends it, once; or why it is not let in. */
    enter: (use: Use, session: string, role: Role): (() => void) | Refusal => {
      const [own, all] = [`${use} of ${session}`, `${use} ${role}`];
      const { ofSession, ofRole } = MOST[use];
      const [ofSessionWords, ofRoleWords] = WORDS[use];
      if ((counts.get(own) ?? 0) >= ofSession) return { status: 429, words: ofSessionWords };
      if ((counts.get(all) ?? 0) >= ofRole) return { status: 503, words: ofRoleWords };
      for (const key of [own, all]) add(key, 1);
      return () => {
        for (const key of [own, all]) add(key, -1);
      };
    },
  };
}
