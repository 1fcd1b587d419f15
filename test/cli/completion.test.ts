import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { runCommand } from '../support/command.ts';
import { TEST_DIR } from '../support/redis.ts';

const run = promisify(execFile);
/** A shell that waits for what never comes. */
const LIMIT_MS = 60_000;

/** What stands on the line when Tab is pressed, and what the shell then offers. */
const OFFERED: [line: string, offered: string[]][] = [
  ['sub', ['submit']],
  ['re', ['report', 'resume', 'retry']],
  ['report --f', ['--force', '--format']],
  ['submit --ma', ['--max']],
  ['report wrong-scan --format ', ['csv', 'html', 'jsonl']],
  ['report --format h', ['html']],
  ['--quiet --env-file .env sel', ['select']],
  ['select --order ', ['newest', 'oldest']],
  ['completion ', ['bash', 'zsh']],
  ['submit id', ['ids.csv']],
  ['report x --output id', ['ids.csv']],
  ['--env-file id', ['ids.csv']],
  ['status --qu', ['--quiet']],
  ['submit --campaign id', []],
];

/** One of each kind: a shell with its completion takes a quarter of a second of processor to start. */
const KINDS = ['sub', 'report --f', 'report --format h', 'submit id', 'status --qu', 'submit --campaign id'];
const OFFERED_IN_ZSH = OFFERED.filter(([line]) => KINDS.includes(line));

describe('completion', () => {
  let folder: string;

  before(async () => {
    await mkdir(TEST_DIR, { recursive: true });
    folder = await mkdtemp(join(TEST_DIR, 'completion-'));
    await writeFile(join(folder, 'ids.csv'), '');
    for (const shell of ['bash', 'zsh'])
      await writeFile(join(folder, `completion.${shell}`), await scriptFor(shell));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function scriptFor(shell: string): Promise<string> {
    const { code, stdout, stderr } = await runCommand(['completion', shell]);
    assert.deepEqual([code, stderr], [0, ''], 'needs neither settings nor Redis');
    return stdout;
  }

  it('in bash offers commands, options, their values and files', async () => {
    const script = ['source completion.bash', ...OFFERED.map(([line]) => askBash(line))].join('\n');
    const { stdout } = await run('bash', ['--norc', '-c', script], { cwd: folder, timeout: LIMIT_MS });
    const offered = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' ').filter(Boolean).sort());
    assert.deepEqual(
      offered,
      OFFERED.map(([, words]) => words),
    );
  });

  it('in zsh offers the same', {
    skip: hasZsh() ? false : 'no zsh on this machine (Debian: apt-get install zsh)',
  }, async () => {
    for (const [line, words] of OFFERED_IN_ZSH) assert.deepEqual((await askZsh(line)).sort(), words, line);
  });

  it('knows bash and zsh, and no other shell', async () => {
    const { code, stderr } = await runCommand(['completion', 'fish']);
    assert.equal(code, 2);
    assert.match(stderr, /Allowed choices are bash, zsh/);
  });

  /** Completes as bash does: it sets the words and where the cursor is, and calls the function. */
  function askBash(line: string): string {
    const words = ['standdown', ...line.split(' ')];
    return `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _standdown; echo "\${COMPREPLY[*]}"`;
  }

  /** Types into a zsh on a terminal of its own, and has its completion list what it would insert. */
  async function askZsh(line: string): Promise<string[]> {
    const { stdout } = await run('zsh', ['-f', '-c', ZSH, 'zsh', `standdown ${line}`], {
      cwd: folder,
      timeout: LIMIT_MS,
    });
    return stdout.split(/\r?\n/).filter(Boolean);
  }
});

function hasZsh(): boolean {
  return spawnSync('zsh', ['--version']).status === 0;
}

/**
 * A shell within the shell: its completion is told to hand out what it would add instead of adding it, and the lines
 * between two marks are that.
 */
const ZSH = String.raw`
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner 'PS1= ; unsetopt zle_bracketed_paste 2>/dev/null; autoload -Uz compinit && compinit -u -D && source completion.zsh'
zpty -w inner 'compadd() {
  if [[ $@[1,(i)(-|--)] == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return $?; fi
  typeset -a __hits
  builtin compadd -A __hits "$@"
  (( $#__hits )) && print -rl -- "HIT "$^__hits
  return 1
}
finish() { print -r -- "END-OF-HITS"; exit }
hits() { zle complete-word; finish }
zle -N hits; zle -C complete-word complete-word _main_complete 2>/dev/null
bindkey "^I" hits; print READY-$((1+1))'
zpty -r inner out '*READY-2*'
zpty -w -n inner "$1"$'\t'
zpty -r inner out '*END-OF-HITS*'
print -r -- "$out" | tr -d '\r' | sed -n 's/.*HIT //p' | sort -u
`;
