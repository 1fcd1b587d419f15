import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestRedis } from '../support/redis.ts';
import { openStack, openTestRedis, type Stack } from '../support/stack.ts';
import { newGuids, openShell, type Shell } from './shell.ts';

describe('the history of one request', () => {
  let server: TestRedis;
  let stack: Stack;
  let shell: Shell;

  before(async () => {
    server = await openTestRedis();
    stack = await openStack(server);
    shell = await openShell(server);
  });
  after(async () => {
    await shell.close();
    await stack.close();
    await server.close();
  });

  const run = (...args: string[]) => shell.run(['history', ...args], { env: stack.env });

  async function done(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  it('tells each call for it, what came of it, and how it stands', async () => {
    const [id = '', other = ''] = stack.addActions(2);
    stack.simulator.setFaults([
      {
        operation: 'cancel',
        ids: [id],
        times: 1,
        fault: {
          kind: 'status',
          status: 429,
          code: 'TooManyRequests',
          message: 'slow\u001b[2J',
          retryAfter: 1,
        },
      },
      { operation: 'cancel', ids: [id], times: 1, fault: { kind: 'reset', when: 'before' } },
    ]);
    await stack.submit([id, other], 'undo');
    assert.match(
      await done('undo', id),
      /^Now: pending; 0 attempts used\nNo worker is running for tenant \S+\. Start one with "standdown worker"\.\n$/,
    );
    const worker = await stack.startWorker();
    await stack.untilDone('undo');
    await worker.stop();

    const lines = (await done('undo', id.toUpperCase())).trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^time +event +result +next +correlation id/);
    assert.match(
      lines[1] ?? '',
      /cancel +HTTP 429, TooManyRequests: slow\\u001b\[2J +all cancel calls wait 1 s +\S+/,
    );
    assert.match(lines[2] ?? '', /cancel +no answer \(.+\); the cancel may have been carried out +retried/);
    assert.match(lines[3] ?? '', /outcome +cancelled, HTTP 200/);
    assert.match(
      lines.at(-1) ?? '',
      /^Now: cancelled; \d attempts? used; uncertain: an earlier attempt may have been carried out/,
    );

    const { now, attempts, results } = JSON.parse(await done('undo', id, '--json'));
    assert.equal(now.outcome, 'cancelled');
    assert.deepEqual(
      attempts.map(({ end, fate, httpStatus }: Record<string, unknown>) => [end, fate, httpStatus]),
      [
        ['wait', 'answered', 429],
        ['retry', 'lost', null],
      ],
    );
    assert.ok(Math.abs(Date.parse(attempts[0].at) - Date.now()) < 60_000);
    assert.deepEqual(results, [now]);
    assert.match(
      await done('undo', other),
      /outcome +cancelled, HTTP 200.*\n\nNow: cancelled; 1 attempt used\n$/,
    );
  });

  it('says whose an id is that another campaign owns', async () => {
    const ids = stack.addActions(1);
    await stack.submit(ids, 'first');
    await stack.submit(ids, 'second');
    const owner = () => done('second', ids[0] ?? '');
    assert.equal(
      await owner(),
      'Now: pending; 0 attempts used; owned by campaign "first": see its calls and outcomes there\n',
    );
    const kept = await shell.run(['delete', 'first', '--yes'], { env: stack.env });
    assert.match(kept.stderr, /has 1 pending action\. Abort it before you delete it\./);
    await shell.run(['abort', 'first', '--yes'], { env: stack.env });
    const followed = await shell.run(['delete', 'first', '--yes'], { env: stack.env });
    assert.equal(followed.code, 2);
    assert.match(
      followed.stderr,
      /Campaign "second" follows actions owned by campaign "first" .* Delete it first, or use --force\./,
    );
    const { code, stderr } = await shell.run(['delete', 'first', '--yes', '--force'], { env: stack.env });
    assert.equal(code, 0, stderr);
    assert.match(await owner(), /owned by a deleted campaign, so no cancel will be sent: submit it again\n$/);
  });

  it('refuses what is no id, or none of the campaign', async () => {
    await stack.submit(stack.addActions(1), 'mine');
    const [stranger = ''] = newGuids(1);
    for (const [id, words] of [
      ['4711', /"4711" is not a machine action id \(a GUID\)/],
      [stranger, new RegExp(`action ${stranger} is not in campaign "mine" in tenant `)],
    ] as const) {
      const { code, stdout, stderr } = await run('mine', id);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, words);
    }
    assert.equal((await run('nobody', stranger)).code, 2);
  });
});
