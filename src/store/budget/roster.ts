import { excerpt } from '../../base/foreign.ts';

/** What a worker says of itself in Redis, with every look that it takes. */
export interface WorkerFacts {
  host: string;
  pid: number;
  /** Standdown's. */
  version: string;
  /** As whom it signs in, in words; empty: it has not signed in yet. */
  identity: string;
  /** Of its token; null: there is none, or it cannot be read. */
  roles: readonly string[] | null;
  /** ISO 8601 UTC; null: there is none. */
  tokenEndsAt: string | null;
  /** Why it has no token, its code first; empty: it has one. */
  trouble: string;
}

/** A worker as others see it. */
export interface SeenWorker extends WorkerFacts {
  /** Ms of Redis' clock. */
  seenAt: number;
  /** Whether it said that it stops. */
  ended: boolean;
}

/** What a worker's trouble is before its first token. */
export const SIGNING_IN = 'signing in';

/** A worker that lives says so every 2 s: after so many ms without a word it is gone. */
const GONE_MS = 10_000;

/** What stands in the hash: when, by Redis' clock, and what. The script writes the first. */
export function rosterEntry(facts: WorkerFacts, ended = false): string {
  return JSON.stringify({ ...facts, ended });
}

/** The workers in the hash, those that were seen last first; what cannot be read is left out. */
export function readRoster(entries: Readonly<Record<string, string>>): SeenWorker[] {
  return Object.values(entries)
    .flatMap((text) => readEntry(text) ?? [])
    .sort((a, b) => b.seenAt - a.seenAt);
}

function readEntry(text: string): SeenWorker | null {
  const [, at, json = ''] = /^(\d+) (.*)$/s.exec(text) ?? [];
  try {
    const said: Partial<SeenWorker> = JSON.parse(json);
    return {
      host: excerpt(String(said.host ?? ''), 100),
      pid: Number(said.pid),
      version: excerpt(String(said.version ?? ''), 30),
      identity: excerpt(String(said.identity ?? ''), 200),
      roles: Array.isArray(said.roles) ? said.roles.map((role) => excerpt(String(role), 100)) : null,
      tokenEndsAt: typeof said.tokenEndsAt === 'string' ? excerpt(said.tokenEndsAt, 30) : null,
      trouble: excerpt(String(said.trouble ?? ''), 300),
      seenAt: Number(at),
      ended: said.ended === true,
    };
  } catch {
    return null;
  }
}

export function livingWorkers(workers: readonly SeenWorker[], now: number): SeenWorker[] {
  return workers.filter(({ ended, seenAt }) => !ended && now - seenAt < GONE_MS);
}

/** Whether there is one that has a token. */
export function canSomeoneCall(workers: readonly SeenWorker[], now: number): boolean {
  return livingWorkers(workers, now).some(({ trouble }) => trouble === '');
}
