import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runCli } from '../support/processes.ts';
import type { Shell } from './shell.ts';

type Case = readonly [args: string[], code: number, stdout: RegExp, stderr: RegExp];

/** One of a family of commands each: that its words and its exit code reach the outside. */
export function itRuns(shellOf: () => Shell, cases: readonly Case[]): void {
  for (const [args, code, stdout, stderr] of cases) {
    it(`${['standdown', ...args].join(' ')}: exit ${code}`, async () => {
      const ran = await runCli(args, { env: shellOf().env });
      assert.equal(ran.code, code, ran.stderr);
      assert.match(ran.stdout, stdout);
      assert.match(ran.stderr, stderr);
    });
  }
}
