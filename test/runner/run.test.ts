import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { childrenOf } from '../support/proc.ts';
import { ROOT, startNode } from '../support/processes.ts';
import { INSTALL_DIR } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';

async function runTests(...args: string[]) {
  const child = startNode(join(ROOT, 'test/runner/run.ts'), args);
  child.stdin.end();
  const code = await child.exited;
  return {
    code,
    stdout: child.stdout,
    stderr: child.stderr,
    last: child.stdout.trimEnd().split('\n').at(-1),
  };
}

describe('the test command', { concurrency: 2 }, () => {
  it('tells of each file in a line, of failures in full, of skips by reason, and counts last', async () => {
    const { code, stdout, last } = await runTests('test/runner/fixtures/mixed.ts');
    assert.equal(code, 1);
    assert.equal(last, '1 passed, 1 failed, 1 skipped');
    assert.match(stdout, /^✖ test\/runner\/fixtures\/mixed\.ts .* s {2}1 passed, 1 failed, 1 skipped$/m);
    assert.match(stdout, /^✖ a suite > fails\n {2}test\/runner\/fixtures\/mixed\.ts:6\n\n {4}Error: boom$/m);
    assert.match(stdout, /mixed\.ts wrote:\n\n {4}said before it failed$/m);
    assert.match(stdout, /^Skipped:\n {2}no zsh on this machine\n {4}.*mixed\.ts: is skipped$/m);
  });

  for (const [what, file, counts, says] of [
    ['ends itself', 'ends', '0 passed, 1 failed', /exitCode: 3/],
    ['ends itself as if all were well', 'ends-well', '0 passed, 1 failed', /without telling of its end/],
    ['cannot close what it opened', 'after', '1 passed, 1 failed', /could not be closed/],
    ['skips a test that then throws', 'skips-and-throws', '0 passed, 1 failed', /boom/],
    ['has a suite without a test', 'empty', '0 passed, 1 failed', /told of no test/],
    ['has no test', 'none', '0 passed, 1 failed', /without telling of its end/],
    ['fails after its tests have ended', 'late', '1 passed, 1 failed', /Node says:\n\n.*too late/],
  ] as const) {
    it(`counts a file as failed that ${what}, beside one that passes`, async () => {
      const { code, stdout, last } = await runTests(
        `test/runner/fixtures/${file}.ts`,
        'test/runner/fixtures/passes.ts',
      );
      const [passed = 0] = counts.split(' ').map(Number);
      assert.deepEqual([code, last], [1, `${passed + 1} passed, 1 failed`], stdout);
      assert.match(stdout, says);
      const line = new RegExp(`^✖ test/runner/fixtures/${file}\\.ts .* s {2}${counts}$`, 'gm');
      assert.equal(stdout.match(line)?.length, 1, stdout);
    });
  }

  for (const [what, isNpmLike] of [
    ['is told to stop', false],
    ['has lost whoever started it', true],
  ] as const) {
    it(`that ${what} ends what it runs, fails, and leaves nothing behind`, async () => {
      const run = ['run.ts', 'fixtures/waits.ts', 'fixtures/passes.ts'].map((name) =>
        join(ROOT, 'test/runner', name),
      );
      // npm ends by a signal without a word to what it has started.
      const start = `require('child_process').spawn(process.execPath, process.argv.slice(1), { stdio: 'inherit' })`;
      const child = isNpmLike ? startNode('-e', [start, ...run]) : startNode(run[0] ?? '', run.slice(1));
      await eventually(() => assert.match(child.stdout, /passes\.ts/));
      const runner = isNpmLike ? childrenOf(child.pid)[0] : child.pid;
      assert.ok(runner);
      const running = [runner, ...childrenOf(runner)];
      assert.ok(running.length >= 2, 'a file is being run');
      const folders = async () =>
        (await readdir(INSTALL_DIR)).filter((name) => name.startsWith(`run-${runner}-`));
      assert.equal((await folders()).length, 1);
      child.kill(isNpmLike ? 'SIGKILL' : 'SIGTERM');
      assert.equal(await child.exited, isNpmLike ? 'SIGKILL' : 130);
      await eventually(async () => {
        assert.deepEqual(await folders(), []);
        assert.deepEqual(
          running.filter((pid) => existsSync(`/proc/${pid}`)),
          [],
        );
      });
      if (!isNpmLike)
        assert.match(
          child.stdout,
          /Stopped before the end of\n {2}test\/runner\/fixtures\/waits\.ts\n1 passed, 0 failed\n$/,
        );
    });
  }

  it('repeats, and says how often it passed', async () => {
    const { code, stdout, last } = await runTests('--repeat', 'test/runner/fixtures/passes.ts', '2');
    assert.equal(code, 0, stdout);
    assert.match(last ?? '', /^2 of 2 rounds passed; .* each$/);
  });

  for (const [what, args, says] of [
    ['a place that is not there', ['test/nowhere'], /^test\/nowhere: no such file or folder$/m],
    ['a folder without tests', ['docs'], /^docs: no tests there$/m],
    ['to repeat nothing in particular', ['--repeat', '3'], /^say what to repeat: a FILE or a FOLDER/m],
    ['an option that it does not know', ['--fast'], /Unknown option '--fast'/],
    ['nothing at once', ['--at-once', '0'], /^--at-once takes a whole number from 1$/m],
  ] as const) {
    it(`refuses ${what}, and says how it is used`, async () => {
      const { code, stderr } = await runTests(...args);
      assert.equal(code, 2);
      assert.match(stderr, says);
      assert.match(stderr, /usage: npm test/);
    });
  }
});
