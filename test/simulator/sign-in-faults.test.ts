import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Fault } from '../../src/simulator/index.ts';
import { askForToken, ID, startBench, until } from './support.ts';

interface EntraError {
  error: string;
  error_description: string;
  error_codes: number[];
}

const token = (fault: Fault) => [{ operation: 'token', fault } as const];

it('fails the sign-in as told, and the API not', async (t) => {
  const { simulator, cancel } = await startBench(t);
  simulator.setFaults(token({ kind: 'status', status: 503, retryAfter: 3 }));
  const busy = await askForToken(simulator);
  assert.deepEqual([busy.status, busy.headers['retry-after']], [503, '3']);
  assert.deepEqual(busy.json<EntraError>().error_codes, [90033]);

  simulator.setFaults(token({ kind: 'status', status: 401, code: 'invalid_client' }));
  const refused = await askForToken(simulator);
  assert.deepEqual([refused.status, refused.json<EntraError>().error], [401, 'invalid_client']);
  assert.match(refused.json<EntraError>().error_description, /^AADSTS7000215: /);

  simulator.setFaults(token({ kind: 'html', status: 502 }));
  assert.match((await askForToken(simulator)).text, /<html>/);
  assert.equal((await cancel(ID)).status, 200);
  const verdicts = simulator.calls().map((call) => `${call.operation} ${call.verdict}`);
  assert.deepEqual(verdicts, ['token served', 'token fault', 'token fault', 'token fault', 'cancel served']);
});

it('ends the sign-in’s connection, or never answers', async (t) => {
  const { simulator } = await startBench(t);
  simulator.setFaults(token({ kind: 'reset', when: 'before' }));
  await assert.rejects(askForToken(simulator));
  assert.equal(simulator.calls().at(-1)?.fault, 'reset');
  simulator.setFaults(token({ kind: 'truncated', how: 'broken-json' }));
  const cut = await askForToken(simulator);
  assert.equal(cut.status, 200);
  assert.throws(() => cut.json(), SyntaxError);
  simulator.setFaults(token({ kind: 'hang' }));
  const ended = assert.rejects(askForToken(simulator));
  await until(() => simulator.calls().at(-1)?.fault === 'hang');
  await simulator.stop();
  await ended;
});
