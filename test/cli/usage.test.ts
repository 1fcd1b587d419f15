import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { linesOf, newGuids, openShell, type Shell } from './shell.ts';

const INTO = ['--campaign', 'stop-scan', '--comment', 'Ticket 4711'];

/** What is wrong with the command line, and the command whose help is named; the program's: ''. */
const WRONG: [args: string[], says: RegExp, command: string][] = [
  [['frobnicate'], /unknown command 'frobnicate'/, ''],
  [['--frobnicate'], /unknown option '--frobnicate'/, ''],
  [['stat'], /unknown command 'stat'\n\(Did you mean status\?\)/, ''],
  [['status', '--frobnicate'], /unknown option '--frobnicate'/, 'status'],
  [['status', 'a', 'b'], /too many arguments/, 'status'],
  [['report'], /missing required argument 'campaign'/, 'report'],
  [['retry', 'a'], /required option '--outcome <outcomes>' not specified/, 'retry'],
  [['retry', 'a', '--outcome', 'lost'], /--outcome: unknown outcome "lost" \(use cancelled, /, 'retry'],
  [['report', 'a', '--format', 'xml'], /Allowed choices are jsonl, csv, html/, 'report'],
  [['priority', 'a', '10'], /invalid priority "10"/, 'priority'],
  [['submit', 'ids', ...INTO, '--limit', '3'], /--order and --limit work with --where only/, 'submit'],
  [['submit', 'ids', ...INTO, '--max', 'many'], /--max: "many" is not a whole number above zero/, 'submit'],
  [['submit', ...INTO, '--where', 'type', '--yes'], /--where, column 5: /, 'submit'],
  [['select', '--where', 'type=Isolate', '--limit', '0'], /--limit: "0" is not a whole number/, 'select'],
  [['simulate', '--limits', 'many'], /--limits: /, 'simulate'],
  [['simulate', '--port', '70000'], /--port: "70000" is not a port from 0 to 65535/, 'simulate'],
  [['demo', '--actions', 'many'], /--actions: "many" is not a whole number/, 'demo'],
  [['--tenant', '', 'status'], /--tenant is empty: give the label of a tenant/, 'status'],
];

describe('a usage error', () => {
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

  for (const [args, says, command] of WRONG) {
    it(`names the help to read, once: ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await shell.run(args);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr, says);
      assert.match(stderr, /^standdown: /);
      const lines = linesOf(stderr);
      const hint = `See "standdown ${command && `${command} `}--help".`;
      assert.equal(lines.at(-1), hint);
      assert.equal(lines.filter((line) => line.includes('--help')).length, 1, stderr);
    });
  }

  it('names no help where the command line was right', async () => {
    await shell.submit('waiting', newGuids(1));
    for (const args of [
      ['status', 'nobody'],
      ['report', 'nobody'],
      ['submit', 'no-such-file', '--campaign', 'a', '--comment', 'b'],
      ['submit', '--where', 'type=Isolate', '--campaign', 'a', '--comment', 'b'],
      ['report', 'waiting', '--output', '/no-such-folder/report'],
      ['abort', 'waiting'],
      ['delete', 'waiting'],
      ['history', 'waiting', newGuids(1)[0] ?? ''],
    ]) {
      const { code, stderr } = await shell.run(args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /^standdown: /);
      assert.doesNotMatch(stderr, /--help/);
    }
  });

  it('as JSON has a code and a message without a hint, and standard error has none either', async () => {
    const cases: [args: string[], message: RegExp][] = [
      [['status', 'a', 'b'], /^too many arguments for 'status'/],
      [['retry', 'a', '--outcome', 'lost'], /^--outcome: unknown outcome "lost"/],
      [['report', 'a', '--format', 'csv'], /^--json means --format jsonl/],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await shell.run([...args, '--json']);
      assert.equal(code, 2);
      const { error } = JSON.parse(stdout);
      assert.deepEqual(Object.keys(error), ['code', 'message']);
      assert.equal(error.code, 'USAGE');
      assert.match(error.message, message);
      assert.doesNotMatch(stdout + stderr, /--help/);
    }
  });
});
