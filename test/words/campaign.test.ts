import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { commandFor, describeKnown, describeTracked, withButtons } from '../../src/words/campaign.ts';

it('what is gone is not said to be followed', () => {
  assert.equal(
    describeTracked({ total: 3, gone: 3 }),
    '3 actions were owned by a deleted campaign; their outcomes are unknown',
  );
  assert.equal(
    describeTracked({ total: 3, gone: 1 }),
    'Follows 2 actions owned by other campaigns; 1 action was owned by a deleted campaign; its outcome is unknown',
  );
  assert.equal(describeTracked({ total: 1, gone: 0 }), 'Follows 1 action owned by another campaign');
});

it('what becomes of actions that are not simply new is said a line each', () => {
  const of = (outcome: 'open' | 'checking' | 'cancelled' | 'forbidden', count: number) => ({
    campaign: 'a "b"',
    outcome,
    count,
  });
  const known = { already: 2, tracked: [of('open', 1), of('cancelled', 3)], takenOver: [of('forbidden', 4)] };
  assert.deepEqual(describeKnown(known), [
    '2 already in this campaign',
    '4 taken over from campaign "a \\"b\\"", where they ended as forbidden',
    '1 followed: owned by campaign "a \\"b\\"", already queued there',
    '3 followed: owned by campaign "a \\"b\\"", ended there as cancelled',
  ]);
  assert.deepEqual(describeKnown({ already: 0, tracked: [], takenOver: [] }), []);
});

it('a command that a message names is read by a shell as it was meant, whatever the campaign is called', () => {
  for (const name of ['two words', 'a "b" $HOME `id`', "it's", '*', 'plain']) {
    const command = commandFor('resume', name, 'contoso').replace('standdown', "printf '%s\\n'");
    const words = execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' }).split('\n');
    assert.deepEqual(words.slice(0, 4), ['resume', name, '--tenant', 'contoso']);
  }
});

it('the console names its buttons in place of commands', () => {
  for (const name of ['plain', 'two words', 'it\'s "so"']) {
    const command = (verb: string, options = '') => `"${commandFor(verb, name, 'contoso', options)}"`;
    assert.equal(
      withButtons(
        `No (403: "no"). Run "standdown doctor --tenant contoso". Then run ${command('resume')}: one goes first. ` +
          `To retry, run ${command('retry', '--outcome not_found')}. To continue, run ${command('resume', '--accept-refusals')}.`,
      ),
      'No (403: "no"). Run "standdown doctor --tenant contoso". Then select Resume: one goes first. ' +
        'To retry, select Retry. To continue, select Resume and "Accept refusals".',
      name,
    );
  }
});
