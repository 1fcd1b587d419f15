import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../support/processes.ts';

/* The page with the licenses of what is shipped. As a program, it writes the page. */

interface Locked {
  version: string;
  license?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
}

export const PAGE = join(ROOT, 'docs/licenses.md');

/** By license the packages that an installation without development tools may bring, sorted. */
export async function licenses(): Promise<Map<string, string[]>> {
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8'));
  const packages = new Map(Object.entries(lock.packages as Record<string, Locked>));
  const found = new Map<string, string[]>();
  const seen = new Set<string>();
  function visit(place: string): void {
    if (seen.has(place)) return;
    seen.add(place);
    const locked = packages.get(place);
    for (const name of wanted(locked)) {
      const next = resolve(packages, place, name);
      if (next !== null) visit(next);
    }
    if (place === '') return;
    const license = locked?.license ?? 'unknown';
    found.set(license, [...(found.get(license) ?? []), place.replace(/^.*node_modules\//, '')]);
  }
  visit('');
  return new Map([...found].sort().map(([license, names]) => [license, [...new Set(names)].sort()]));
}

function wanted(locked: Locked | undefined): string[] {
  const peers = Object.keys(locked?.peerDependencies ?? {});
  return [
    ...Object.keys(locked?.dependencies ?? {}),
    ...Object.keys(locked?.optionalDependencies ?? {}),
    ...peers.filter((name) => !locked?.peerDependenciesMeta?.[name]?.optional),
  ];
}

/** Where Node would find it: beside its user, or further out. */
function resolve(packages: ReadonlyMap<string, Locked>, place: string, name: string): string | null {
  for (let from = place; ; from = from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/')))) {
    const path = `${from === '' ? '' : `${from}/`}node_modules/${name}`;
    if (packages.has(path)) return path;
    if (from === '') return null;
  }
}

export async function page(): Promise<string> {
  const found = [...(await licenses())];
  const count = found.reduce((sum, [, names]) => sum + names.length, 0);
  const sections = found.map(([license, names]) => `## ${license}\n\n${wrapped(names)}\n`);
  return `# Licenses

Standdown is under the [MIT license](../LICENSE). An installation without development tools brings these ${count} packages at most, under the licenses
that their \`package.json\` names. Written by \`npm run licenses\`, checked by a test.

${sections.join('\n')}`;
}

function wrapped(names: readonly string[]): string {
  const lines: string[] = [];
  for (const name of names) {
    const last = lines.at(-1);
    if (last === undefined || last.length + name.length > 140) lines.push(name);
    else lines[lines.length - 1] = `${last}, ${name}`;
  }
  return lines.join(',\n');
}

if (import.meta.main) await writeFile(PAGE, await page());
