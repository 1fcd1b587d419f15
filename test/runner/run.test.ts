import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT, startNode } from '../support/processes.ts';

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

  it('counts a file that ends itself as failed', async () => {
    const { code, stdout, last } = await runTests('test/runner/fixtures/ends.ts');
    assert.deepEqual([code, last], [1, '0 passed, 1 failed']);
    assert.match(stdout, /exitCode: 3/);
  });

  it('repeats, and says how often it passed', async () => {
    const { code, stdout, last } = await runTests('--repeat', 'test/runner/fixtures/passes.ts', '2');
    assert.equal(code, 0, stdout);
    assert.match(last ?? '', /^2 of 2 rounds passed; .* each$/);
  });

  for (const [what, args, says] of [
    ['a place that is not there', ['test/nowhere'], /^test\/nowhere: no such file or folder$/m],
    ['a folder without tests', ['docs'], /^docs: no tests there$/m],
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
