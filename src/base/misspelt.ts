/** Prefixes of settings that only Standdown has; AZURE_… names are many programs'. */
const OWN = /^(DEFENDER|STANDDOWN)_/;

/** Letters that are wrong, missing or too many in what counts as misspelt. */
const MOST_OWN = 4;
const MOST_SHARED = 3;

/** Fewer letters are a part of too many words. */
const LEAST_PART = 3;

/**
 * Names in the environment that look like a setting and are none, with the one that may be meant. Whoever sets AZURE_TENANT sees
 * nothing of it otherwise. A name that other programs have is passed over: it is not near enough, or what it resembles is set as well.
 */
export function misspelt(
  environment: Readonly<Record<string, string | undefined>>,
  settings: ReadonlySet<string>,
): { name: string; meant: string }[] {
  const candidates = [...settings].filter((setting) => setting.startsWith('AZURE_') || OWN.test(setting));
  return Object.keys(environment).flatMap((name) => {
    const upper = name.toUpperCase();
    if (settings.has(name) || name.length > 60 || !(upper.startsWith('AZURE_') || OWN.test(upper))) return [];
    const meant = candidates.toSorted((a, b) => distance(upper, a) - distance(upper, b))[0] ?? '';
    const isOthers = !OWN.test(upper) && environment[meant];
    return isNear(upper, meant) && !isOthers ? [{ name, meant }] : [];
  });
}

export function describeMisspelt({ name, meant }: { name: string; meant: string }): string {
  return `${name} is not a setting and is ignored; did you mean ${meant}?`;
}

function isNear(name: string, meant: string): boolean {
  const wrong = distance(name, meant);
  if (OWN.test(name)) return wrong <= MOST_OWN;
  // AZURE_REGION is three letters from AZURE_LOGIN: short names are near to each other by chance.
  return wrong <= Math.min(MOST_SHARED, (meant.length - 'AZURE_'.length) / 3);
}

/** The known word that a misspelt one may mean: one that it is a part of, or nearly spells. Null: there is none. */
export function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > 60) return null;
  const wanted = word.toLowerCase();
  const far = (candidate: string) => distance(wanted, candidate.toLowerCase());
  const isNearby = (candidate: string) =>
    (wanted.length >= LEAST_PART && candidate.toLowerCase().includes(wanted)) ||
    far(candidate) <= wanted.length / 3;
  return known.filter(isNearby).toSorted((a, b) => far(a) - far(b))[0] ?? null;
}

/** Levenshtein's: how many letters to change, add or take out. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let at = 1; at <= to.length; at++) {
      const change = (row[at - 1] ?? 0) + (letter === to[at - 1] ? 0 : 1);
      next.push(Math.min(change, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
