import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { ask } from '../../src/cli/confirm.ts';
import { KEYS } from '../support/terminal.ts';

/** Types keys at a question; whether that is a yes, and what the terminal shows. */
async function answer(keys: string | null): Promise<{ isYes: boolean; shown: string }> {
  // What readline takes for a terminal. Keys come one by one, as a person types them.
  const input = new PassThrough();
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const stop = new AbortController();
  const asked = ask({ input, output, stop: stop.signal }, 'Submit 3 ids?');
  if (keys === null) stop.abort();
  else for (const key of keys) input.write(key);
  const isYes = await asked;
  return { isYes, shown: String(output.read()) };
}

describe('a question', () => {
  const ANSWERS: [name: string, keys: string | null, isYes: boolean][] = [
    ['y', `y${KEYS.enter}`, true],
    ['YES', `YES${KEYS.enter}`, true],
    ['no', `n${KEYS.enter}`, false],
    ['yesterday', `yesterday${KEYS.enter}`, false],
    ['Enter', KEYS.enter, false],
    ['Ctrl-C', KEYS.ctrlC, false],
    ['the end of input', KEYS.ctrlD, false],
    ['half an answer and Ctrl-C', `y${KEYS.ctrlC}`, false],
    ['a signal', null, false],
  ];
  for (const [name, keys, isYes] of ANSWERS) {
    it(`takes ${name} for a ${isYes ? 'yes' : 'no'}`, async () => {
      const answered = await answer(keys);
      assert.equal(answered.isYes, isYes);
      assert.match(answered.shown, /Submit 3 ids\? \[y\/N\] /);
      assert.ok(answered.shown.endsWith('\n'), 'what follows begins a line of its own');
    });
  }
});
