import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { runCommand } from '../support/command.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { NO_TERMINAL, startOnTerminal } from '../support/terminal.ts';
import { newGuids, openShell, type Shell } from './shell.ts';

/** How a terminal is told of a colour. */
const COLOUR = '\u001b[3';

describe('in a shell', () => {
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

  /** What a command shows on a terminal that is as wide as it likes. */
  async function show(columns: number, ...args: string[]): Promise<string> {
    return (await runCommand(args, { env: shell.env, columns })).stdout;
  }

  it('tables become lists on a narrow terminal', async () => {
    await shell.submit('a campaign with quite a long name', newGuids(3));
    const wide = await show(120, 'status');
    assert.match(wide, /^campaign +status +total/);
    const narrow = await show(40, 'status');
    assert.match(narrow, /^campaign +a campaign with quite a long\n +name\nstatus +running\ntotal +3\n/);
    assert.match(
      await show(40, 'budget'),
      /^calls +cancel\nwindow +1m\n[\s\S]*\n\ncalls +cancel\nwindow +1h\n/,
    );
  });

  it('--quiet leaves nothing on standard error but what is wrong', async () => {
    await shell.submit('wrong scan', newGuids(3));
    const path = shell.path('report.csv');
    const report = ['report', 'wrong scan', '--output', path, '--force'];
    assert.notEqual((await shell.run(report)).stderr, '');
    assert.equal((await shell.run(['--quiet', ...report])).stderr, '');
    assert.equal((await shell.run([...report, '--quiet'])).stderr, '', 'also behind the command');

    const wrong = await shell.run(['--quiet', 'status', 'nobody']);
    assert.deepEqual([wrong.code, /^standdown: no campaign/.test(wrong.stderr)], [2, true]);
    const bad = await shell.write('bad.txt', 'not an id\n');
    const refused = await shell.run(['--quiet', 'submit', bad, '--campaign', 'x', '--comment', 'y']);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /not an id/);
    assert.equal((await shell.run(['--quiet', 'frobnicate'])).code, 2);
  });

  it('NO_COLOR takes the colours out of the log', { skip: NO_TERMINAL }, async () => {
    const env = { ...shell.env, LOG_LEVEL: 'debug', TERM: 'xterm-256color' };
    const shown = async (more: Record<string, string>) => {
      const child = startOnTerminal(['status'], { env: { ...env, ...more } });
      await child.exited;
      return child.stdout;
    };
    assert.ok((await shown({})).includes(COLOUR));
    assert.ok(!(await shown({ NO_COLOR: '1' })).includes(COLOUR));
  });
});
