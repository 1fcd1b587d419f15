import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/* `npm run check`: the rooms of src, top floor first. Imports only go down, and never in a circle. */
const ROOMS = 'cli console producer app ops files worker queue defender store config base'.split(' ');
/** The made-up Defender: it shares nothing with the product but `base`, and is loaded only by commands that need it. */
const APART = 'simulator';
const MOST_LOOSE = 3;

const src = join(import.meta.dirname, '../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const problems: string[] = [];
const roomOf = (file: string) => (file.includes('/') ? (file.split('/')[0] ?? '') : '');
const floorOf = (file: string) => ROOMS.indexOf(roomOf(file));

const imports = files.flatMap((file): [from: string, to: string][] => {
  const text = readFileSync(join(src, file), 'utf8');
  const specs = [...text.matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'(\.[^']+)'/g)];
  return specs.map(([, to = '']) => [file, posix.join(posix.dirname(file), to)]);
});

for (const file of files) {
  if (roomOf(file) !== '' && roomOf(file) !== APART && floorOf(file) < 0)
    problems.push(`${file} stands in no room: ${ROOMS.join(', ')}`);
  if (file.split('/').length > 3) problems.push(`${file} is more than two levels deep`);
}
const loose = files.filter((file) => roomOf(file) === '');
if (loose.length > MOST_LOOSE) problems.push(`${loose.join(', ')}: more than ${MOST_LOOSE} files in no room`);
for (const [from, to] of imports) {
  const [room, other] = [roomOf(from), roomOf(to)];
  if (room === APART && other !== APART && other !== 'base')
    problems.push(`${from} imports ${to}: ${APART} may import base only`);
  if (room !== APART && other !== APART && floorOf(to) < floorOf(from))
    problems.push(
      `${from} imports ${to}, which is above it: move what it needs down to ${room}, or ${from} up to ${other || 'the top'}`,
    );
}

/** The first circle that is met, of files or of folders. */
function findCircle(nameOf: (file: string) => string): void {
  const done = new Set<string>();
  const walk = (name: string, way: readonly string[]): boolean => {
    if (way.includes(name))
      problems.push(`${[...way.slice(way.indexOf(name)), name].join(' imports ')}: a circle`);
    if (way.includes(name)) return true;
    if (done.has(name)) return false;
    done.add(name);
    const next = imports.filter(([from]) => nameOf(from) === name).map(([, to]) => nameOf(to));
    return next.some((other) => other !== name && walk(other, [...way, name]));
  };
  files.some((file) => walk(nameOf(file), []));
}
findCircle((file) => file);
findCircle(posix.dirname);

for (const problem of problems) process.stdout.write(`src/${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
