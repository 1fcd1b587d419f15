import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Registry } from 'prom-client';
import { createFamilies } from '../../src/ops/metrics/families.ts';
import { definedScripts } from '../../src/store/script.ts';
import { runCommand } from '../support/command.ts';
import { ROOT, startProgram } from '../support/processes.ts';
import { TEST_DIR } from '../support/redis.ts';
import { shapes } from './shapes.ts';

/** What must not change unknowingly, a line each, by section. */
export async function readFacts(): Promise<Map<string, string[]>> {
  return new Map([
    ['scripts in Redis', await scripts()],
    ['help', await help()],
    ['JSON', await shapes()],
    ['public types', await publicTypes()],
    ['schemas', await schemas()],
    ['metrics', metrics()],
    ['settings', await matchesIn('.env.example', /^#? ?([A-Z][A-Z0-9_]+)=/gm)],
    ['error codes', await matchesIn(await errorsFile(), /^ {2}\| '([A-Z_]+)'/gm)],
    ['tests', await testNames()],
  ]);
}

const hash = (text: string | Buffer) => createHash('sha1').update(text).digest('hex');

async function filesIn(folder: string, pattern: RegExp): Promise<string[]> {
  const entries = await readdir(join(ROOT, folder), { recursive: true });
  return entries
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name))
    .sort();
}

async function scripts(): Promise<string[]> {
  for (const file of await filesIn('src', /\.ts$/)) {
    const text = await readFile(join(ROOT, file), 'utf8');
    if (/\bdefineScript\(/.test(text)) await import(join(ROOT, file));
  }
  return [...definedScripts()].map(([name, lua]) => `${name} ${hash(lua)}`).sort();
}

async function help(): Promise<string[]> {
  const of = async (...args: string[]) => (await runCommand([...args, '--help'], { columns: 80 })).stdout;
  const whole = await of();
  const names = [...(whole.split('Commands:\n')[1]?.split('\n\n')[0] ?? '').matchAll(/^ {2}([a-z]+) /gm)].map(
    ([, name = '']) => name,
  );
  const lines = [`standdown ${hash(whole)}`];
  for (const name of names.sort()) lines.push(`standdown ${name} ${hash(await of(name))}`);
  return lines;
}

/** What the package exports, and the types that this names, without comments and whatever file they are in. */
async function publicTypes(): Promise<string[]> {
  const folder = await mkdtemp(join(TEST_DIR, 'types-'));
  try {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const options = ['--emitDeclarationOnly', '--sourceMap', 'false', '--outDir', folder];
    const child = startProgram(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json'), ...options]);
    if ((await child.exited) !== 0) throw new Error(child.stdout);
    const declared = new Map<string, string>();
    const files = [join(folder, 'index.d.ts')];
    for (const file of files) {
      const text = (await readFile(file, 'utf8')).replaceAll(/\/\*\*[\s\S]*?\*\//g, '');
      for (const [, from = ''] of text.matchAll(/from ['"](\.[^'"]+)\.ts['"]/g)) {
        const next = resolve(dirname(file), `${from}.d.ts`);
        if (!files.includes(next)) files.push(next);
      }
      for (const part of text.split(/\n(?=export |declare |type |interface )/)) {
        const [, name] =
          /^(?:export )?(?:declare )?(?:abstract )?(?:class|const|function|interface|type) (\w+)/.exec(
            part,
          ) ?? [];
        if (name !== undefined) declared.set(name, part.replaceAll(/\s+/g, ' ').trim());
      }
    }
    const index = await readFile(files[0] ?? '', 'utf8');
    const names = new Set(
      [...index.matchAll(/\b\w+\b/g)].map(([name]) => name).filter((name) => declared.has(name)),
    );
    // Grows while it is walked through.
    for (const name of names)
      for (const [word] of (declared.get(name) ?? '').matchAll(/\b\w+\b/g))
        if (declared.has(word)) names.add(word);
    return [...names].map((name) => declared.get(name) ?? '').sort();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function schemas(): Promise<string[]> {
  const files = await filesIn('docs', /\.schema\.json$/);
  return Promise.all(files.map(async (file) => `${file} ${hash(await readFile(join(ROOT, file)))}`));
}

function metrics(): string[] {
  const registry = new Registry();
  createFamilies(registry);
  return registry
    .getMetricsAsArray()
    .map(({ name }) => name)
    .sort();
}

async function errorsFile(): Promise<string> {
  return (await filesIn('src', /(^|\/)errors\.ts$/))[0] ?? '';
}

async function matchesIn(file: string, pattern: RegExp): Promise<string[]> {
  const text = await readFile(join(ROOT, file), 'utf8');
  return [...text.matchAll(pattern)].map(([, name = '']) => name).sort();
}

/** As they stand in the source, wherever that is. */
async function testNames(): Promise<string[]> {
  const names: string[] = [];
  for (const file of await filesIn('test', /\.(test|long)\.ts$/)) {
    const text = await readFile(join(ROOT, file), 'utf8');
    for (const [, , name = ''] of text.matchAll(/\b(?:it|test|t\.test)\(\s*(['"`])((?:(?!\1)[^\\]|\\.)*)\1/g))
      names.push(name);
  }
  return names.sort();
}
