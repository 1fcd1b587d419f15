import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd, testFolder } from '../../store/redis/support/machine.ts';
import { startRedis } from '../../store/redis/support/plain-redis.ts';
import { startProgram } from '../../support/processes.ts';
import { plainServer } from '../../support/redis.ts';
import { openStack, type Stack } from '../../support/stack.ts';
import { eventually } from '../../support/wait.ts';
import { cliEnvironment, EXAMPLES, findPython, NO_PYTHON, runProgram } from './clients.ts';
import { ask, readStream, untilEmpty, untilTold } from './support.ts';

/* What people copy from docs/inbox.md is what is run here. */

/** The id that the examples name. */
const EXAMPLE_ID = '8ecf25d1-76f2-4080-a2a0-237761784bef';

/** The document's blocks of a language, for this tenant and this id. */
async function examples(language: string, stack: Stack, id: string): Promise<string[]> {
  const text = await readFile(EXAMPLES, 'utf8');
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))];
  return blocks.map(([, block = '']) =>
    block.replaceAll('<tenant>', stack.tenant.label).replaceAll(EXAMPLE_ID, id),
  );
}

async function open(t: TestContext) {
  const folder = testFolder(t);
  const { url } = await startRedis(t, { folder, args: ['--appendonly', 'yes'] });
  const stack = await openStack(plainServer({ url }));
  atEnd(t, () => stack.close());
  await stack.startWorker();
  return { folder, url, stack, place: { redis: stack.redis, keys: stack.tenant.keys } };
}

test('redis-cli asks for a cancel, and for what became of it', async (t) => {
  const { url, stack, place } = await open(t);
  const [id = ''] = stack.addActions(1);
  const [add = '', get = '', ...others] = await examples('sh', stack, id);
  assert.equal(others.length, 0);
  const env = { ...(await cliEnvironment()), REDIS_URL: url };
  const added = await runProgram('sh', ['-c', add], { env });
  assert.match(added.stdout, /^\d+-\d+\n$/, added.stderr);
  await untilTold(place, id);
  const told = JSON.parse((await runProgram('sh', ['-c', get], { env })).stdout);
  const [shown = '{}'] = await examples('json', stack, id);
  assert.deepEqual(Object.keys(told).sort(), Object.keys(JSON.parse(shown)).sort());
  assert.deepEqual([told.machineActionId, told.outcome, told.requestedBy], [id, 'cancelled', 'runbook-7']);
});

test('Python asks, waits for the outcome, and fills a campaign', async (t) => {
  const python = await findPython();
  if (python === null) return t.skip(NO_PYTHON);
  const { folder, url, stack, place } = await open(t);
  const [id = '', ...ids] = stack.addActions(21);
  const [one = '', many = '', ...others] = await examples('python', stack, id);
  assert.equal(others.length, 0);
  const env = { REDIS_URL: url };
  const first = await runProgram(python, ['-c', one], { env });
  assert.deepEqual([first.code, first.stdout], [0, 'cancelled\n'], first.stderr);

  const spelled = `{${id.toUpperCase()}}`;
  const same = await runProgram(python, ['-c', one.replaceAll(id, spelled)], { env });
  assert.deepEqual([same.code, same.stdout], [0, 'cancelled\n'], same.stderr);

  const bad = await runProgram(python, ['-c', one.replaceAll(id, 'no guid')], { env });
  assert.match(bad.stderr, /ValueError: machineActionId: not a GUID/);

  await writeFile(join(folder, 'ids.txt'), `${ids.join('\n')}\n`);
  const script = join(folder, 'many.py');
  await writeFile(script, many);
  const child = startProgram(python, [script], { env, cwd: folder });
  assert.equal(await child.exited, 0, child.stderr);
  await untilEmpty(place);
  const { outcomes } = await eventually(async () => {
    const status = await stack.status('scan-2026-11');
    assert.deepEqual([status.open, status.total], [0, 20]);
    return status;
  });
  assert.deepEqual(outcomes, { cancelled: 20 });
  for (const one of ids) assert.equal((await ask(place, one))?.['outcome'], 'cancelled');
  assert.equal((await readStream(place, place.keys.outcomes)).length, 22);
});
