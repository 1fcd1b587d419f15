/** What one tenant's calls and results came to, request by request, and what must not be among it. */
export interface Book {
  /** A cancel leaves. */
  sent(id: string): void;
  /** Another one of this id has a cause: an answer that decides nothing, or a worker that is gone. */
  excuse(id: string): void;
  /** A job of this id came back with this outcome. */
  told(id: string, outcome: string): void;
  violate(what: string): void;
  outcomeOf(id: string): string | undefined;
  /** Requests that were told an outcome. */
  ended(): number;
  /** Calls beyond the first of each id. */
  repeats(): number;
  violations(): readonly string[];
  violationCount(): number;
}

const MOST_TOLD = 20;

export function createBook(): Book {
  const calls = new Map<string, { sent: number; excused: number }>();
  const outcomes = new Map<string, string>();
  const violations: string[] = [];
  let violated = 0;
  let sent = 0;
  const of = (id: string) => {
    const known = calls.get(id) ?? { sent: 0, excused: 0 };
    calls.set(id, known);
    return known;
  };
  const violate = (what: string) => {
    violated++;
    if (violations.length < MOST_TOLD) violations.push(what);
  };
  return {
    sent: (id) => {
      sent++;
      const call = of(id);
      if (outcomes.has(id)) violate(`${id} is called after its outcome`);
      if (call.sent > call.excused) violate(`${id} is called again without a cause`);
      call.sent++;
    },
    excuse: (id) => {
      const call = of(id);
      call.excused = call.sent;
    },
    told: (id, outcome) => {
      const before = outcomes.get(id);
      if (before !== undefined && before !== outcome) violate(`${id} is ${before}, and then ${outcome}`);
      outcomes.set(id, outcome);
    },
    violate,
    outcomeOf: (id) => outcomes.get(id),
    ended: () => outcomes.size,
    repeats: () => sent - [...calls.values()].filter((call) => call.sent > 0).length,
    violations: () => violations,
    violationCount: () => violated,
  };
}
