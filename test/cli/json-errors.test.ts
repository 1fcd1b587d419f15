import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { linesOf, newGuids, openShell, type Shell } from './shell.ts';

const INTO = ['--campaign', 'wrong scan', '--comment', 'stop it'];

describe('with --json what goes wrong', () => {
  let server: TestRedis;
  let shell: Shell;
  before(async () => {
    server = await openTestRedis();
  });
  beforeEach(async () => {
    shell = await openShell(server);
  });
  afterEach(() => shell.close());
  after(() => server.close());

  async function error(args: string[], code = 2, env: Record<string, string> = {}) {
    const ran = await shell.run(args, { env });
    assert.equal(ran.code, code, ran.stderr);
    assert.notEqual(ran.stderr, '', 'a person is told, too');
    const lines = linesOf(ran.stdout);
    assert.equal(lines.length, 1, ran.stdout);
    return JSON.parse(lines[0] ?? '').error as { code: string; message: string; lines?: string[] };
  }

  it('is an object with a code and words, and the exit code is the same', async () => {
    const unknown = await error(['status', 'nobody', '--json']);
    assert.deepEqual(unknown, {
      code: 'CAMPAIGN_UNKNOWN',
      message: `no campaign "nobody" in tenant ${shell.tenant.label}; run "standdown status" to list the campaigns`,
    });
    const away = await error(['list', '--json'], 1, { REDIS_URL: 'redis://127.0.0.1:1' });
    assert.equal(away.code, 'REDIS_UNREACHABLE');
    const usage = await error(['status', 'a', 'b', '--json']);
    assert.deepEqual([usage.code, /too many arguments/.test(usage.message)], ['USAGE', true]);
  });

  it('names every bad line', async () => {
    const file = await shell.write('ids.txt', `${newGuids(1)}\nnot an id\nnor this\n`);
    const { code, message, lines } = await error(['submit', file, ...INTO, '--json']);
    assert.equal(code, 'INPUT_INVALID');
    assert.match(message, /^2 of 3 entries are not machine action ids\. Nothing was submitted/);
    assert.equal(lines?.length, 2);
    assert.match(lines?.[0] ?? '', /line 2: /);
  });

  it('of a report is no other format', async () => {
    const ids = newGuids(2);
    await shell.submit('wrong scan', ids);
    const ran = await shell.run(['report', 'wrong scan', '--json']);
    assert.deepEqual(
      linesOf(ran.stdout).map((line) => JSON.parse(line).machineActionId),
      ids,
    );
    const { code } = await error(['report', 'wrong scan', '--json', '--format', 'csv']);
    assert.equal(code, 'USAGE');
  });
});
