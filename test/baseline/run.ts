import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../support/processes.ts';
import { readFacts } from './facts.ts';

/*
 * `npm run baseline`: compares what users, services and Redis see with test/baseline/baseline.txt, and says what differs.
 *
 *   -- --write   what is now is right
 */
const FILE = join(ROOT, 'test/baseline/baseline.txt');
const facts = await readFacts();
const text = [...facts].map(([section, lines]) => `# ${section}\n${lines.join('\n')}\n`).join('\n');
if (process.argv.includes('--write')) await writeFile(FILE, text);
else {
  const before = new Set((await readFile(FILE, 'utf8')).split('\n'));
  const now = new Set(text.split('\n'));
  const gone = [...before].filter((line) => !now.has(line)).map((line) => `- ${line}`);
  const added = [...now].filter((line) => !before.has(line)).map((line) => `+ ${line}`);
  const changes = [...gone, ...added];
  if (changes.length > 0) {
    process.stdout.write(
      `${changes.join('\n')}\n${changes.length} lines differ. If that is meant: npm run baseline -- --write\n`,
    );
    process.exitCode = 1;
  }
}
process.exit();
