import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeHold, describeKnown, describeTracked } from '../src/words.ts';

const NOW = Date.parse('2026-11-30T09:12:31Z');
const at = (ms: number) => new Date(NOW + ms).toISOString();

it('a wait that is over by now is shown with no time that has passed', () => {
  const hold = { reason: 'penalty', detail: '' };
  assert.match(describeHold({ ...hold, until: at(30_000) }, NOW), /until \S+ \(30 s\)$/);
  assert.doesNotMatch(describeHold({ ...hold, until: at(-1) }, NOW), /until|:\d\d|\(\d+ s/);
});

it('what is gone is not said to be followed', () => {
  assert.match(
    describeTracked({ total: 3, gone: 3 }),
    /^3 of these were a campaign's that was deleted: nobody knows/,
  );
  assert.match(
    describeTracked({ total: 3, gone: 1 }),
    /^2 of these .* followed there; 1 of these was a campaign's/,
  );
});

it('what becomes of ids that are not simply new is said a line each', () => {
  const of = (outcome: 'open' | 'checking' | 'cancelled' | 'forbidden', count: number) => ({
    campaign: 'a "b"',
    outcome,
    count,
  });
  const known = { already: 2, tracked: [of('open', 1), of('cancelled', 3)], takenOver: [of('forbidden', 4)] };
  assert.deepEqual(describeKnown(known), [
    '2 already in this campaign',
    '4 taken over from campaign "a \\"b\\"", where they ended as forbidden',
    '1 already queued in campaign "a \\"b\\""; followed there',
    '3 already cancelled in campaign "a \\"b\\""; followed there',
  ]);
  assert.deepEqual(describeKnown({ already: 0, tracked: [], takenOver: [] }), []);
  assert.equal(
    describeTracked({ total: 1, gone: 0 }),
    '1 of these belongs to another campaign and is followed there',
  );
});
