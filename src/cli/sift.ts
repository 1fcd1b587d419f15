import { bytesToGuid, guidsToBytes } from '../base/guid.ts';
import { count } from '../base/words/number.ts';
import type { Action } from '../defender/classify.ts';
import type { Reader } from '../defender/reader.ts';
import type { Spool } from '../files/in/spool.ts';
import { ID_BYTES } from '../store/ledger/batch.ts';
import type { CommandContext } from './context.ts';

/** An id that is not submitted, because its action is of another type, or is not listed. */
export interface SetAside {
  machineActionId: string;
  /** Whether the list shows it. */
  isListed: boolean;
  type: string | null;
  computerDnsName: string | null;
}

export type Sieve = ReturnType<typeof createSieve>;

/**
 * Lets actions of certain types through, and sets the others aside.
 *
 * @param types in any case; null: all.
 */
export function createSieve(types: readonly string[] | null) {
  const wanted = types && new Set(types.map((type) => type.toLowerCase()));
  const setAside: SetAside[] = [];
  return {
    setAside,
    /** @param action undefined: it is not listed, so nobody knows its type. */
    lets: (id: string, action: Action | undefined): action is Action => {
      if (action && (wanted === null || wanted.has((action.summary.type ?? '').toLowerCase()))) return true;
      const { type = null, computerDnsName = null } = action?.summary ?? {};
      setAside.push({ machineActionId: id, isListed: action !== undefined, type, computerDnsName });
      return false;
    },
  };
}

/** Ids read and judged at once: ten calls. */
const PART_IDS = 1_000;

/**
 * Reads the actions of a spool's ids, and passes on those that the sieve lets through.
 *
 * @param onAction told of each action that is passed on.
 * @returns how many these are.
 */
export async function siftSpool(
  { out }: Pick<CommandContext, 'out'>,
  { reader, sieve, from, to }: { reader: Reader; sieve: Sieve; from: Spool; to: Spool },
  onAction: (action: Action) => void,
): Promise<number> {
  let kept = 0;
  let read = 0;
  for await (const ids of idsOf(from)) {
    const actions = new Map((await reader.byIds(ids)).map((action) => [action.id, action]));
    const some = ids.filter((id) => sieve.lets(id, actions.get(id)));
    if (some.length > 0) await to.add(guidsToBytes(some));
    for (const action of actions.values()) if (some.includes(action.id)) onAction(action);
    kept += some.length;
    read += ids.length;
    if (ids.length === PART_IDS) out.note(`${count(read)} actions checked so far`);
  }
  return kept;
}

/** The ids of a spool, some at a time. */
export async function* idsOf(spool: Spool): AsyncGenerator<string[]> {
  for await (const bytes of spool.read()) {
    for (let at = 0; at < bytes.length; at += PART_IDS * ID_BYTES) {
      const part = bytes.subarray(at, at + PART_IDS * ID_BYTES);
      yield Array.from({ length: part.length / ID_BYTES }, (_, index) => bytesToGuid(part, index * ID_BYTES));
    }
  }
}
