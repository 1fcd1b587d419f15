import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { OUTCOME_MEANINGS, OUTCOMES } from '../../src/base/outcome.ts';
import { addCommands } from '../../src/cli/catalogue.ts';
import { ROOT } from '../support/folders.ts';
import { anchorsIn, blocksIn, linksIn, readPage, rowsIn } from './markdown.ts';

const PAGES = ['*.md', 'docs/*.md'].flatMap((pattern) => globSync(pattern, { cwd: ROOT })).sort();

describe('the documentation', () => {
  it('has no link that leads nowhere', async () => {
    const dead: string[] = [];
    for (const page of PAGES) {
      for (const link of linksIn(await readPage(page))) {
        if (/^[a-z]+:/.test(link)) continue;
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path));
        const isThere = existsSync(join(ROOT, target));
        const hasAnchor = anchor === undefined || anchorsIn(await readPage(target)).includes(anchor);
        if (!isThere || !hasAnchor) dead.push(`${page}: ${link}`);
      }
    }
    assert.deepEqual(dead, []);
  });

  it('lists every file of docs/ once in docs/README.md', async () => {
    const listed = linksIn(await readPage('docs/README.md')).filter((link) => !link.startsWith('..'));
    const files = readdirSync(join(ROOT, 'docs')).filter((file) => file !== 'README.md');
    assert.deepEqual(listed.toSorted(), files.toSorted());
  });

  it('begins with a README of at most 150 lines, which leads to all the rest', async () => {
    const readme = await readPage('README.md');
    assert.ok(readme.trimEnd().split('\n').length <= 150);
    const links = linksIn(readme);
    for (const page of PAGES.filter((name) => !name.includes('/') && name !== 'README.md'))
      assert.ok(links.includes(page), page);
    assert.ok(links.includes('docs/README.md'));
  });

  it('names only npm scripts that there are', async () => {
    const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    for (const page of PAGES) {
      const text = (await readPage(page)).replaceAll('npm run -s', 'npm run');
      for (const [, name = ''] of text.matchAll(/npm run ([\w:]+)/g))
        assert.ok(scripts[name], `${page}: ${name}`);
    }
  });

  it('explains the outcomes in the README as the program does, with what to do about each', async () => {
    const rows = rowsIn(await readPage('README.md')).filter((cells) => cells.length === 3);
    assert.deepEqual(
      rows.map(([outcome, meaning]) => [outcome, meaning]),
      OUTCOMES.map((outcome) => [`\`${outcome}\``, OUTCOME_MEANINGS[outcome]]),
    );
    for (const [outcome, , advice] of rows) assert.ok(advice, outcome);
  });

  it('names every command and option in docs/cli.md, and none that there is not', async () => {
    const cli = await readPage('docs/cli.md');
    const program = new Command();
    addCommands({
      program,
      go: async () => undefined,
      traced: async () => undefined,
      bare: async () => undefined,
      print: async () => undefined,
    });
    for (const command of program.commands) {
      assert.match(cli, new RegExp(`\`${command.name()}\\b`), command.name());
      for (const { long } of command.options)
        assert.ok(long && cli.includes(long), `${command.name()} ${long}`);
    }
    const source = await Promise.all(
      globSync('src/cli/*.ts', { cwd: ROOT }).map((file) => readFile(join(ROOT, file), 'utf8')),
    );
    const known = new Set(['--help', ...(source.join('').match(/--[a-z][a-z-]+/g) ?? [])]);
    for (const option of cli.match(/--[a-z][a-z-]+/g) ?? []) assert.ok(known.has(option), option);
  });

  it('shows the console’s picture, and has a language for every block', async () => {
    assert.ok(linksIn(await readPage('README.md')).includes('docs/console.png'));
    for (const page of PAGES)
      for (const { language, line } of blocksIn(await readPage(page)))
        assert.notEqual(language, '', `${page}:${line}`);
  });
});
