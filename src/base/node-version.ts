/*
 * What this needs of Node. It comes first, and of nothing else: an older Node is told so, and does not fail at some syntax or at what a
 * library expects.
 */

/** What to say on this Node; null: it will do. */
export function nodeProblem(version: string): string | null {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 19)) return null;
  return `standdown needs Node.js 22.19 or later; this is v${version.replace(/^v/, '')}`;
}
