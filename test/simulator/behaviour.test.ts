import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { MachineAction } from '../../src/simulator/index.ts';
import { createTestClock, type ErrorBody, ID, OTHER_ID, startBench } from './support.ts';

for (const status of ['Succeeded', 'Failed', 'TimeOut', 'Cancelled']) {
  it(`answers the cancel of an action that is ${status} with 400, or with 200 and no change`, async (t) => {
    const { simulator, cancel } = await startBench(t, { actions: [{ id: ID, status }] });
    const before = simulator.action(ID);
    const refused = await cancel();
    assert.deepEqual([refused.status, refused.json<ErrorBody>().error.code], [400, 'BadRequest']);
    assert.match(refused.json<ErrorBody>().error.message, new RegExp(status));
    simulator.setBehaviour({ finalState: '200' });
    const taken = await cancel();
    assert.deepEqual([taken.status, taken.json<MachineAction>().status], [200, status]);
    assert.deepEqual(simulator.action(ID), before);
    assert.deepEqual(
      simulator.callsFor(ID).map((call) => call.applied),
      [false, false],
    );
  });
}

it('can take a cancellation and carry it out later', async (t) => {
  const clock = createTestClock();
  const behaviour = { cancelled: 'later', laterMs: 3_000 } as const;
  const { simulator, cancel, get } = await startBench(t, {
    actions: [{ id: ID, status: 'InProgress' }],
    behaviour,
    clock,
  });
  const statusNow = async () => (await get(`/api/machineactions/${ID}`)).json<MachineAction>().status;
  const reply = await cancel();
  assert.deepEqual([reply.status, reply.json<MachineAction>().status], [200, 'InProgress']);
  clock.advance(2_999);
  assert.equal(await statusNow(), 'InProgress');
  // A second cancel changes nothing, and does not begin the wait again.
  assert.deepEqual([(await cancel()).status, await statusNow()], [200, 'InProgress']);
  clock.advance(1);
  assert.equal(await statusNow(), 'Cancelled');
  assert.equal(simulator.action(ID)?.cancellationComment, 'Started by mistake');
  const cancels = simulator.callsFor(ID).filter((call) => call.operation === 'cancel');
  assert.deepEqual(
    cancels.map((call) => call.applied),
    [true, false],
  );
  assert.deepEqual(simulator.summary().actions, { Cancelled: 1 });
});

it('can cancel a sibling along with an action', async (t) => {
  const actions = [{ id: ID }, { id: OTHER_ID }];
  const siblings = { [ID.toUpperCase()]: [OTHER_ID.toUpperCase()] };
  const { simulator, cancel } = await startBench(t, { actions, behaviour: { siblings } });
  await cancel(ID);
  assert.equal(simulator.action(OTHER_ID)?.status, 'Cancelled');
  assert.equal((await cancel(OTHER_ID)).status, 400);
  simulator.addActions([{ id: ID, status: 'Succeeded' }, { id: OTHER_ID }]);
  await cancel(ID);
  assert.equal(simulator.action(OTHER_ID)?.status, 'Pending');
  simulator.addActions([{ id: ID }, { id: OTHER_ID, status: 'Failed' }]);
  await cancel(ID);
  assert.equal(simulator.action(OTHER_ID)?.status, 'Failed');
});

it('can be blind for an action in its first moments', async (t) => {
  const clock = createTestClock();
  const creationDateTimeUtc = new Date(clock.wall()).toISOString();
  const { cancel, get } = await startBench(t, {
    actions: [{ id: ID, creationDateTimeUtc }],
    behaviour: { transient404Ms: 4_000 },
    clock,
  });
  clock.advance(3_999);
  assert.deepEqual([(await cancel()).status, (await get(`/api/machineactions/${ID}`)).status], [404, 404]);
  clock.advance(1);
  assert.deepEqual([(await get(`/api/machineactions/${ID}`)).status, (await cancel()).status], [200, 200]);
});
