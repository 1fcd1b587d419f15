/** Names of the column or key that holds the id, the most telling first; case does not matter. */
export const ID_NAMES = ['machineActionId', 'id', 'ActionId'] as const;

const LOWER_CASE: readonly string[] = ID_NAMES.map((name) => name.toLowerCase());

/**
 * Which of `names` holds the id. Two spellings of one name are `twice`: nobody can say which was meant.
 *
 * @param wanted the name that was asked for, in any case; default: one of ID_NAMES.
 */
export function findIdName(names: readonly string[], wanted?: string): number | 'none' | 'twice' {
  let found: number | 'none' | 'twice' = 'none';
  let bestRank = LOWER_CASE.length;
  for (let at = 0; at < names.length; at++) {
    const rank = idNameRank(names[at] ?? '', wanted);
    if (rank === -1 || rank > bestRank) continue;
    found = rank === bestRank ? 'twice' : at;
    bestRank = rank;
  }
  return found;
}

/** 0 for the most telling name, -1 for none. */
export function idNameRank(name: string, wanted?: string): number {
  if (wanted !== undefined) return cleanName(name).toLowerCase() === cleanName(wanted).toLowerCase() ? 0 : -1;
  // Asked for every key of every JSON line: the length settles nearly all of them.
  if (name.length !== 2 && name.length !== 8 && name.length !== 15) return -1;
  return LOWER_CASE.indexOf(name.toLowerCase());
}

/** A column's name without what programs and people put around and into it: white space, marks, quotes. */
export function cleanName(cell: string): string {
  return cell.replace(/[\s\ufeff"']+/g, '');
}
