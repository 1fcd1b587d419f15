import assert from 'node:assert/strict';
import { it } from 'node:test';
import { askAbort, describeKnown, describeTracked } from '../../src/words/campaign.ts';

it('what is gone is not said to be followed', () => {
  assert.equal(
    describeTracked({ tracked: { total: 3, open: 0 }, unknown: 3 }),
    '3 actions belonged to a campaign that was deleted; their outcomes are unknown',
  );
  assert.equal(
    describeTracked({ tracked: { total: 3, open: 0 }, unknown: 1 }),
    '2 actions belong to other campaigns and are followed there; 1 action belonged to a campaign that was deleted; its outcome is unknown',
  );
  assert.equal(
    describeTracked({ tracked: { total: 1, open: 0 }, unknown: 0 }),
    '1 action belongs to another campaign and is followed there',
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
    '1 already queued in campaign "a \\"b\\""; followed there',
    '3 ended as cancelled in campaign "a \\"b\\""; followed there',
  ]);
  const paused = [of(null, 2), of('cancelled', 1)].map((one) => ({ ...one, state: 'paused' as const }));
  assert.deepEqual(describeKnown({ already: 0, tracked: paused, takenOver: [] }), [
    '2 already queued in campaign "a \\"b\\"", which is paused; followed there',
    '1 ended as cancelled in campaign "a \\"b\\""; followed there',
  ]);
  assert.deepEqual(describeKnown({ already: 0, tracked: [], takenOver: [] }), []);
});

it('the question before an abort names what it does not reach, and who follows what it reaches', () => {
  const of = { name: 'a', tenant: 'contoso' };
  assert.equal(
    askAbort(of, { open: 3, following: 2, followers: ['b', 'c'] }),
    'Abort campaign "a" in tenant contoso? 3 pending actions will not be cancelled. To cancel them later, submit them to another campaign. ' +
      '2 more actions continue in the campaigns that own them. Campaigns "b", "c" follow pending actions of this one and will show them as withdrawn.',
  );
  assert.equal(
    askAbort(of, { open: 0, following: 0, followers: [] }),
    'Abort campaign "a" in tenant contoso? 0 pending actions will not be cancelled.',
  );
});
