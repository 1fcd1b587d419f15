import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCommand } from '../support/command.ts';

describe('help', () => {
  /** On a terminal of so many columns. */
  async function help(columns: number, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runCommand([...args, '--help'], { columns });
    assert.deepEqual([code, stderr], [0, ''], 'needs neither settings nor Redis');
    return stdout;
  }

  /** With the text that the program's help has for each. */
  async function commands(): Promise<[name: string, description: string][]> {
    const section = (await help(200)).split('Commands:\n')[1]?.split('\n\n')[0] ?? '';
    const found = [...section.matchAll(/^ {2}([a-z]+) +(.+)$/gm)];
    assert.ok(found.length >= 24, section);
    return found
      .map(([, name = '', description = '']): [string, string] => [name, description])
      .filter(([name]) => name !== 'help');
  }

  it('of every command has an example of the command', async () => {
    for (const [name] of await commands())
      assert.match(await help(80, name), new RegExp(`\nExamples?:\n {2}.*standdown .*\\b${name}\\b`), name);
  });

  it('of every command describes the command, its options and those of all commands', async () => {
    for (const [name, description] of await commands()) {
      const shown = await help(200, name);
      const sentence = `${description.charAt(0).toUpperCase()}${description.slice(1)}.`;
      assert.ok(shown.includes(`\n\n${sentence}\n\n`), name);
      assert.doesNotMatch(shown, /^ {2}(-\S+,? ?)+( <\S+>)?$/m, `${name}: an option without a text`);
      assert.match(shown, /\nGlobal Options:\n[\s\S]* --env-file <path> [\s\S]* --tenant <label> /, name);
    }
  });

  it('fits 80 columns, examples included', async () => {
    for (const args of [[], ...(await commands()).map(([name]) => [name])]) {
      const tooLong = (await help(80, ...args)).split('\n').filter((line) => line.length > 80);
      assert.deepEqual(tooLong, [], args.join());
    }
  });

  it('fits a narrow terminal, except for commands to copy', async () => {
    for (const args of [[], ...(await commands()).map(([name]) => [name])]) {
      const [shown = ''] = (await help(50, ...args)).split(/\nExamples?:/);
      const [, ...lines] = shown.split('\n');
      assert.deepEqual(
        lines.filter((line) => line.length > 50),
        [],
        args.join(),
      );
    }
  });

  it('uses the words of an operator', async () => {
    for (const args of [[], ...(await commands()).map(([name]) => [name])])
      assert.doesNotMatch(await help(200, ...args), /\b(lanes?|ledger|slots?|claims?|epoch|sweep|drain)\b/i);
  });

  it('says that status and list do the same', async () => {
    assert.match(await help(200, 'list'), /\(same as status without a name\)/);
    assert.match(await help(200, 'status'), /without a name, list all campaigns \(same as list\)/);
  });

  it('says that --max holds for a dry run, too', async () => {
    assert.match(
      await help(200, 'submit'),
      / --max <number> +refuse to submit more than N actions, also with --dry-run\n/,
    );
  });
});
