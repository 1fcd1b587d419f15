import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { commandFor, withButtons } from '../../src/base/words/name.ts';
import { askAbort, describeKnown, describeTracked } from '../../src/files/words/campaign.ts';

it('what is gone is not said to be followed', () => {
  assert.equal(
    describeTracked({ tracked: { total: 3, open: 0 }, unknown: 3 }),
    '3 actions were owned by a deleted campaign; their outcomes are unknown',
  );
  assert.equal(
    describeTracked({ tracked: { total: 3, open: 0 }, unknown: 1 }),
    'Follows 2 actions owned by other campaigns; 1 action was owned by a deleted campaign; its outcome is unknown',
  );
  assert.equal(
    describeTracked({ tracked: { total: 1, open: 0 }, unknown: 0 }),
    'Follows 1 action owned by another campaign',
  );
});

it('what becomes of actions that are not simply new is said a line each', () => {
  const of = (outcome: 'cancelled' | 'forbidden' | null, count: number) => ({
    campaign: 'a "b"',
    outcome,
    state: 'running' as const,
    count,
  });
  const known = { already: 2, tracked: [of(null, 1), of('cancelled', 3)], takenOver: [of('forbidden', 4)] };
  assert.deepEqual(describeKnown(known), [
    '2 already in this campaign',
    '4 taken over from campaign "a \\"b\\"", where they ended as forbidden',
    '1 followed: owned by campaign "a \\"b\\"", already queued there',
    '3 followed: owned by campaign "a \\"b\\"", ended there as cancelled',
  ]);
  const paused = [of(null, 2), of('cancelled', 1)].map((one) => ({ ...one, state: 'paused' as const }));
  assert.deepEqual(describeKnown({ already: 0, tracked: paused, takenOver: [] }), [
    '2 followed: owned by campaign "a \\"b\\"", already queued there (paused)',
    '1 followed: owned by campaign "a \\"b\\"", ended there as cancelled',
  ]);
  assert.deepEqual(describeKnown({ already: 0, tracked: [], takenOver: [] }), []);
});

it('the question before an abort names what it does not reach, and who follows what it reaches', () => {
  const of = { name: 'a', tenant: 'contoso' };
  assert.equal(
    askAbort(of, { open: 3, following: 2, followers: ['b', 'c'] }),
    'Abort campaign "a" in tenant contoso? 3 pending actions will not be cancelled. To cancel them later, submit them to another campaign. ' +
      '2 followed actions are not affected. Campaigns "b", "c" follow pending actions of this one and will show them as withdrawn.',
  );
  assert.equal(
    askAbort(of, { open: 0, following: 0, followers: [] }),
    'Abort campaign "a" in tenant contoso? 0 pending actions will not be cancelled.',
  );
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
