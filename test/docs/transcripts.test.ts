import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { OUTCOME_MEANINGS, type Outcome } from '../../src/base/outcome.ts';
import { describeFullWindow } from '../../src/base/words/window.ts';
import { runProgram } from '../../src/cli/program.ts';
import { type Progress, renderProgress } from '../../src/cli/progress.ts';
import { connectSimulator, makeActions, type RemoteSimulator } from '../../src/simulator/index.ts';
import { type Command, startCommand } from '../support/command.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { FREE_LIMITS, quotas } from '../support/stack.ts';
import { KEYS, NO_TERMINAL, startOnTerminal } from '../support/terminal.ts';
import { SHORT } from '../support/timings.ts';
import { eventually } from '../support/wait.ts';
import { type Block, blocksIn, readPage, rowsIn } from './markdown.ts';

/* What the README and the tutorial show is what the program prints: every command in them is run here, against one simulator. */

const COLUMNS = 200;

const LOOKS = /^standdown (status|budget)\b/;
/** For how long a look is repeated, in ms. */
const LOOK_AGAIN_MS = 40_000;
/** With these, submit does not ask. */
const ANSWERED = /^--(yes|dry-run)$/;

/** What differs from one run to the next, and what stands in its place on both sides. CONTRIBUTING.md names the same. */
const VARYING: readonly [what: RegExp, mask: string][] = [
  [/\b(\d{4}-\d{2}-\d{2}[T ])?\d{2}:\d{2}:\d{2}(\.\d+)?(Z| UTC([+-][\d:]+)?)/g, 'TIME'],
  [/\b\d+ (ms|s|min|h|d)( \d+ (min|h))?\b|\bunder 1 s\b/g, 'DURATION'],
  [/\bany moment now\b/g, 'at TIME (in DURATION)'],
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'ID'],
  [/\b[0-9a-f]{40}\b/g, 'MACHINE'],
  [/127\.0\.0\.1:\d+/g, 'ADDRESS'],
  [/\bWorker \d+ on \S+ \([\d.]+\)/g, 'Worker PID on HOST (VERSION)'],
  [/\b[\w.-]+@[\w.-]+\b(?= {2})/g, 'USER@HOST'],
  [/(requested by +)\S+/g, '$1USER'],
  [/"requestedBy":"[^"]*"/g, '"requestedBy":"USER"'],
  [/\btutorial-\d+\b/g, 'TENANT'],
];

/** Lines, without what varies. Where lines are broken and how wide columns are depends on that, too. */
function masked(text: string): string[] {
  const words = VARYING.reduce((rest, [what, mask]) => rest.replaceAll(what, mask), text.trimEnd());
  return words
    .replaceAll(/\n +/g, ' ')
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' ').trim());
}

/** Whether a page shows what was printed. A line with an ellipsis stands for any number of lines. */
function assertShown({ text, line }: Block, printed: string, page: string): void {
  const shown = masked(text);
  const was = masked(printed);
  const place = shown.indexOf('…');
  const [head, tail] = place === -1 ? [shown, []] : [shown.slice(0, place), shown.slice(place + 1)];
  const actual =
    place === -1 ? was : [...was.slice(0, head.length), '…', ...was.slice(was.length - tail.length)];
  assert.deepEqual(actual, shown, `${page}:${line} shows something else than\n\n${printed}`);
}

interface Shown {
  code: number;
  /** Standard output and standard error, as a terminal shows them. */
  text: string;
}

describe('the README and the tutorial', () => {
  let server: TestRedis;
  let folder: string;
  const home = process.cwd();
  let env: Record<string, string>;
  let simulator: RemoteSimulator;
  let simulating: Command;
  let working: Command;

  before(async () => {
    server = await openTestRedis();
    await mkdir(TEST_DIR, { recursive: true });
    folder = await mkdtemp(join(TEST_DIR, 'docs-'));
    await mkdir(join(folder, '.standdown'));
    // They name files as somebody in the checkout would.
    process.chdir(folder);
    const { PATH = '', HOME = '' } = process.env;
    env = {
      PATH,
      HOME,
      REDIS_URL: server.url,
      STANDDOWN_TENANT: `tutorial-${process.pid}`,
      LOG_LEVEL: 'silent',
    };
  });
  after(async () => {
    process.chdir(home);
    working?.stop();
    await working?.exited;
    await simulator?.close();
    simulating?.stop();
    await simulating?.exited;
    await rm(folder, { recursive: true, force: true });
    await server.close();
  });

  it('show the live view of a campaign as it is', async () => {
    const [live] = textsOf(await readPage('README.md'));
    assert.ok(live);
    assertShown(live, renderProgress(demoInProgress(), COLUMNS), 'README.md');
  });

  it('show outcomes with the program’s words', async () => {
    const [, outcomes] = textsOf(await readPage('README.md'));
    const rows = (outcomes?.text.trimEnd().split('\n') ?? []).map((line) => line.split(/ {2,}/));
    assert.ok(rows.length > 2);
    for (const [name = '', ...cells] of rows) {
      const [outcome = '', number] = cells.length === 2 ? [name.split(' ')[0], cells[0]] : name.split(/\s+/);
      assert.ok(Number(number) > 0, name);
      assert.equal(cells.at(-1), OUTCOME_MEANINGS[outcome as Outcome], name);
    }
  });

  it('show in the tutorial what its commands print', async () => {
    const page = 'docs/tutorial.md';
    const blocks = blocksIn(await readPage(page));
    for (const [index, block] of blocks.entries()) {
      if (block.language !== 'sh') continue;
      const output = blocks[index + 1];
      const runIt = async () => {
        const printed = await runBlock(block, page);
        if (output && output.language !== 'sh') assertShown(output, printed, page);
      };
      // What the page shows of a campaign that runs, it comes to within a few seconds.
      if (linesOf(block).every((line) => LOOKS.test(line))) await eventually(runIt, LOOK_AGAIN_MS);
      else await runIt();
    }
    assert.deepEqual(await simulator.refusals(), [], 'a call above the limit');
  });

  it('name in the README commands that work', async () => {
    const page = await readPage('README.md');
    // As the tutorial leaves them.
    if (env['RATE_LIMITS'] !== FREE_LIMITS) await liftLimits();
    await simulator.addActions(
      makeActions({ count: 20, seed: process.pid, type: 'Isolate' }).actions.map((action) => ({
        ...action,
        status: 'Pending',
      })),
    );
    const blocks = blocksIn(page).filter(({ text }) => text.startsWith('standdown '));
    const everyday = rowsIn(page.replaceAll(/^\| (?!`)[^|]* (?=\| `)/gm, '')).map(([command = '']) =>
      command.slice(1, -1),
    );
    const lines = [
      ...blocks.flatMap(linesOf),
      ...everyday.filter((command) => command.startsWith('standdown ')),
    ];
    assert.ok(lines.length > 12, lines.join('\n'));
    for (const line of lines.filter((command) => command !== 'standdown worker'))
      await runLine(line, 'README.md');
    assert.ok((await stat('undo-isolation.html')).size > 0);
  });

  it('lead to docs/cli.md, which names every field of the JSON', async () => {
    const [, section = ''] = (await readPage('docs/cli.md')).split('\n## JSON\n');
    const rows = rowsIn(section);
    const commands = [
      'status undo-isolation',
      'verify undo-isolation',
      'history undo-isolation',
      'pause undo-isolation',
      'priority undo-isolation 1',
      'retry undo-isolation --outcome unresolved',
      'budget',
      'submit found.csv --campaign undo-isolation --comment x --yes',
      'select --where type=Isolate',
    ];
    for (const command of commands) {
      const { text } = await show([...command.split(' '), '--json']);
      const [first] = [JSON.parse(text.split('\n')[0] ?? '')].flat();
      const [name] = command.split(' ');
      const [, fields = ''] = rows.find(([names = '']) => new RegExp(`\`${name}\\b`).test(names)) ?? [];
      for (const field of Object.keys(first)) assert.ok(fields.includes(`\`${field}\``), `${name}: ${field}`);
    }
  });

  it('make keys that only their owner can read', {
    skip: spawnSync('openssl', ['version']).error !== undefined,
  }, async () => {
    const block = blocksIn(await readPage('README.md')).find(({ text }) => text.includes('openssl'));
    const { status, stderr } = spawnSync('bash', ['-c', block?.text ?? 'false'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    for (const file of ['standdown.key', 'standdown.pem'])
      assert.equal((await stat(file)).mode & 0o077, 0, file);
  });

  async function runBlock(block: Block, page: string): Promise<string> {
    let printed = '';
    for (const line of linesOf(block)) printed += await runLine(line, `${page}:${block.line}`);
    return printed;
  }

  /** Runs a line as a person would type it. @returns what it prints. */
  async function runLine(line: string, place: string): Promise<string> {
    if (!line.startsWith('standdown ')) {
      assert.match(
        line,
        /^(npm ci|alias|mkdir|echo|set -a; \. \S+; set \+a|rm) ?/,
        `${place}: not run here: ${line}`,
      );
      return '';
    }
    const [, command = '', head] = /^standdown (.*?)(?: \| head -n (\d+)| >> \S+)?$/.exec(line) ?? [];
    const args = wordsOf(command);
    if (args[0] === 'simulate') return simulate(args);
    if (args[0] === 'worker') return work();
    if (command === 'watch stop-scan') await liftLimits();
    const asks =
      args.includes('stop-scan') && args[0] === 'submit' && !args.some((arg) => ANSWERED.test(arg));
    const { code, text } = asks && NO_TERMINAL === false ? await answerYes(args) : await show(args);
    const codes = args[0] === 'watch' || args.includes('--wait') ? [0, 3] : [0];
    assert.ok(codes.includes(code), `${place}: ${line}: exit code ${code}\n${text}`);
    return head === undefined ? text : `${text.split('\n').slice(0, Number(head)).join('\n')}\n`;
  }

  async function simulate(args: string[]): Promise<string> {
    simulating = startCommand(args, { env });
    await eventually(() => assert.match(simulating.stdout, /^NODE_EXTRA_CA_CERTS=.*\n/m));
    for (const [, name = '', value = ''] of simulating.stdout.matchAll(/^(\w+)=(.*)$/gm)) env[name] = value;
    simulator = await connectSimulator(env['DEFENDER_API_URL'] ?? '');
    return '';
  }

  async function work(): Promise<string> {
    working = startCommand(['worker'], { env, timings: SHORT });
    await eventually(async () => assert.match((await show(['budget'])).text, /: signed in as /));
    return '';
  }

  /** The rest would take minutes. */
  async function liftLimits(): Promise<void> {
    working.stop();
    await working.exited;
    await simulator.setLimits({
      cancel: quotas(FREE_LIMITS),
      get: quotas(FREE_LIMITS),
      list: quotas(FREE_LIMITS),
    });
    env['RATE_LIMITS'] = FREE_LIMITS;
    await work();
  }

  async function show(args: readonly string[]): Promise<Shown> {
    let text = '';
    const add = (line: string) => {
      text += `${line}\n`;
    };
    const code = await runProgram(args, {
      env,
      timings: SHORT,
      stdin: Readable.from([]),
      stop: new AbortController().signal,
      onHangup: () => undefined,
      version: '0.0.0',
      isErrorTerminal: false,
      logTo: { write: () => undefined },
      out: {
        write: async (words) => {
          text += words;
        },
        note: add,
        complain: add,
        isTerminal: true,
        columns: COLUMNS,
      },
    });
    return { code, text };
  }

  /** On a terminal, in a process of its own. */
  async function answerYes(args: readonly string[]): Promise<Shown> {
    const child = startOnTerminal(args, { env, cwd: folder });
    await eventually(() => assert.match(child.stdout, /\[y\/N\] /));
    child.stdin.write(`y${KEYS.enter}`);
    const code = await child.exited;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a line editor sends to a terminal
    return { code: Number(code), text: child.stdout.replaceAll(/\r|\x1b\[[\d;?]*[A-Za-z]/g, '') };
  }
});

function textsOf(page: string): Block[] {
  return blocksIn(page).filter(({ language }) => language === 'text');
}

/** A block's commands, without what is said of them. */
function linesOf({ text }: Block): string[] {
  return text
    .replaceAll('\\\n', '')
    .split('\n')
    .map((line) => line.replace(/(^|\s+)# .*$/, '').trim())
    .filter(Boolean);
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** The demo's campaign while its window of 10 s is full. */
function demoInProgress(): Progress {
  const now = Date.parse('2026-11-25T04:19:42Z');
  const name = 'demo-2026-11-25T04-19-24';
  const outcomes = { cancelled: 165, already_final: 15, not_found: 3, forbidden: 1 };
  return {
    tenant: name,
    now,
    status: {
      campaign: 'stop-scan',
      comment: '',
      requestedBy: null,
      priority: 5,
      createdAt: new Date(now).toISOString(),
      state: 'running',
      total: 250,
      open: 66,
      unknown: 0,
      tracked: { total: 0, open: 0 },
      outcomes,
      hold: {
        reason: 'window',
        until: new Date(now + 9_000).toISOString(),
        detail: describeFullWindow({ max: 90, lengthMs: 10_000 }, { used: 90, limit: 100, allowed: 100 }),
      },
      etaAt: new Date(now + 10_000).toISOString(),
      expiring: null,
      expiresAt: null,
    },
    budget: {
      now,
      windows: [
        { max: 100, lengthMs: 10_000, used: 90, allowed: 100, free: 10, reserved: 10 },
        { max: 1_500, lengthMs: 600_000, used: 198, allowed: 1_500, free: 1_302, reserved: 30 },
      ],
      stamps: [],
      holds: [],
      urgentHolds: [],
      workers: [
        {
          host: 'here',
          pid: 1,
          version: '0.1.0',
          identity: 'application',
          roles: null,
          tokenEndsAt: null,
          trouble: '',
          seenAt: now,
          ended: false,
        },
      ],
      latencyMs: 0,
      pace: null,
    },
  };
}
