import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { makeFinished } from '../support/finished.ts';
import { startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { linesOf, openShell, type Shell } from './shell.ts';

const CAMPAIGN = 'wrong scan';

describe('report', () => {
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

  function fill(count: number): Promise<void> {
    return makeFinished(shell.tenant, {
      campaign: CAMPAIGN,
      count,
      startedAt: Date.now() - 60_000,
      stepMs: 1,
    });
  }

  it('writes the same lines in each format, to standard output or a file', async () => {
    await fill(1_200);
    const formats = ['jsonl', 'csv', 'html'];
    const rans = await Promise.all(
      formats.map((format) => shell.run(['report', CAMPAIGN, '--format', format])),
    );
    const [jsonl, csv, html] = rans.map(({ code, stdout, stderr }) => {
      assert.deepEqual([code, stderr], [0, '']);
      return stdout;
    });
    const ids = linesOf(jsonl ?? '').map(
      (line) => (JSON.parse(line) as { machineActionId: string }).machineActionId,
    );
    assert.equal(new Set(ids).size, 1_200);
    assert.deepEqual(
      linesOf(csv ?? '')
        .slice(1)
        .map((line) => line.split(',')[0]),
      ids,
    );
    assert.deepEqual(idsInPage(html ?? ''), ids);
  });

  it('that is cut off leaves no file that could pass for one', async () => {
    await fill(10_000);
    const path = shell.path('report.csv');
    const child = startCli(['report', CAMPAIGN, '--format', 'csv', '--output', path], { env: shell.env });
    await eventually(async () =>
      assert.ok((await folder()).some((name) => /^report\.csv\.\w+\.part$/.test(name))),
    );
    child.kill('SIGTERM');
    assert.equal(await child.exited, 143, child.stderr);
    assert.deepEqual(
      (await folder()).filter((name) => name.startsWith('report')),
      [],
    );
  });

  function folder(): Promise<string[]> {
    return readdir(shell.path('.'));
  }
});

/** The ids in the data that a page carries. */
function idsInPage(page: string): string[] {
  return [...page.matchAll(/<script type="application\/json">(.*)<\/script>/g)].flatMap(([, text = '']) => {
    const { rows } = JSON.parse(text) as { rows: string[][] };
    return rows.map((row) => row[1] ?? '');
  });
}
