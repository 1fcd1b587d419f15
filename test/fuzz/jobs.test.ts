import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Queue, QueueEvents } from 'bullmq';
import fc from 'fast-check';
import { type CancelResult, OUTCOMES } from '../../src/base/outcome.ts';
import { parseJob } from '../../src/queue/job.ts';
import type { LaneName } from '../../src/store/keys.ts';
import { MAX_COMMENT_LENGTH } from '../../src/store/keys.ts';
import { isOwnKey } from '../../src/worker/raw-job.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { keepingLog, openStack, type Stack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { hashOf, pushRaw } from '../worker/raw-jobs.ts';
import { dataText, jobName, jobOptions, rawHash, rawText } from './job-inputs.ts';
import { CHEAP_RUNS, COSTLY_RUNS, namedBy, SEED, strangeText } from './strange.ts';

const LANES: LaneName[] = ['cancel', 'cancel-urgent'];

/** So many jobs are in the lanes at once. */
const AT_ONCE = 100;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The id that data names, if it does. */
function idIn(text: string): string | null {
  const data = parse(text);
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return null;
  return Object.hasOwn(data, 'machineActionId') ? namedBy(Reflect.get(data, 'machineActionId')) : null;
}

it('whatever a job holds, reading it gives a checked request or says in words what is wrong', (t) => {
  let [good, bad] = [0, 0];
  fc.assert(
    fc.property(rawText, fc.oneof(jobName, fc.constant(undefined)), (text, name) => {
      const data = parse(text);
      const parsed = parseJob(name, data, { comment: null });
      if (!parsed.ok) {
        bad++;
        assert.ok(parsed.reason.length > 0 && parsed.reason.length <= 700, parsed.reason);
        assert.ok(parsed.machineActionId.length <= 100);
        return;
      }
      good++;
      const { machineActionId, comment, requestedBy, expiresAt, again } = parsed.request;
      assert.equal(machineActionId, idIn(text));
      assert.ok(comment.trim() !== '' && comment.length <= MAX_COMMENT_LENGTH);
      assert.ok(requestedBy === null || requestedBy.length <= 200);
      assert.ok(expiresAt === null || (Number.isSafeInteger(expiresAt) && expiresAt < 8.64e15));
      assert.equal(typeof again, 'boolean');
      assert.equal(Reflect.get({}, 'again'), undefined, 'no prototype is touched');
    }),
    { numRuns: CHEAP_RUNS, seed: SEED },
  );
  t.diagnostic(`${CHEAP_RUNS} jobs read in memory (seed ${SEED}): ${good} good, ${bad} named as bad`);
  assert.ok(good > 0 && bad > 0);
});

describe('jobs of foreign producers', () => {
  let server: TestRedis;
  let stack: Stack;
  const told = new Map<string, CancelResult>();
  const failed: string[] = [];
  const queues = new Map<LaneName, Queue>();
  const open: { close(): Promise<void> }[] = [];
  let lines: string[] = [];
  /** Every id that some job named in a valid way. */
  const named = new Set<string>();

  before(async () => {
    server = await openTestRedis();
    const kept = await keepingLog();
    lines = kept.lines;
    stack = await openStack(server, { log: kept.log });
    const { prefix } = stack.tenant.keys;
    for (const lane of LANES) {
      const queue = new Queue(lane, { connection: await server.connect('worker'), prefix });
      const events = new QueueEvents(lane, { connection: await server.connect('worker'), prefix });
      await events.waitUntilReady();
      events.on('completed', ({ jobId, returnvalue }) => told.set(`${lane} ${jobId}`, returnvalue as never));
      events.on('failed', ({ jobId, failedReason }) => failed.push(`${jobId}: ${failedReason}`));
      queues.set(lane, queue);
      open.push(queue, events);
    }
    await stack.startWorker();
  });

  after(async () => {
    await Promise.all(open.map((one) => one.close()));
    await stack.close();
    await server.close();
  });

  const queueOf = (lane: LaneName): Queue => {
    const queue = queues.get(lane);
    assert.ok(queue);
    return queue;
  };

  /** Waits until each has its outcome, and checks that it fits what the job said. */
  async function settle(jobs: Map<string, { text: string; words: string }>): Promise<Map<string, number>> {
    const outcomes = new Map<string, number>();
    await eventually(() => {
      const silent = [...jobs]
        .filter(([key]) => !told.has(key))
        .map(([key, { words }]) => `${key}: ${words}`);
      assert.deepEqual(silent.slice(0, 3), [], `${silent.length} of ${jobs.size} without an outcome`);
    });
    for (const [key, { text, words }] of jobs) {
      const result = told.get(key);
      assert.ok(result && OUTCOMES.includes(result.outcome), `${words}: ${JSON.stringify(result)}`);
      outcomes.set(result.outcome, (outcomes.get(result.outcome) ?? 0) + 1);
      if (result.outcome === 'invalid') assert.ok(result.errorMessage, words);
      else assert.equal(result.machineActionId, idIn(text), words);
      if (idIn(text) === null) assert.equal(result.outcome, 'invalid', words);
    }
    return outcomes;
  }

  /** The simulator's word on what was called. */
  function judgeCalls(): { cancels: number } {
    let cancels = 0;
    for (const { operation, id, path, method } of stack.simulator.calls()) {
      if (operation === 'token') continue;
      const [, inPath, last] = /^\/api\/machineactions\/([0-9a-f-]{36})(\/cancel)?$/.exec(path) ?? [];
      assert.ok(inPath !== undefined && inPath === id, `a call to ${method} ${path}`);
      assert.ok(named.has(inPath), `a call for ${inPath}, which no job named`);
      if (last) cancels++;
    }
    return { cancels };
  }

  async function judgeRest(): Promise<void> {
    assert.deepEqual(failed, []);
    const loud = lines.filter((line) => /"level":"(warn|error|fatal)"/.test(line));
    // That a schedule does not go on is BullMQ's to say; nothing else is worth a word.
    const unexplained = loud.filter((line) => !/Failed to add repeatable job/.test(line));
    assert.deepEqual(unexplained.slice(0, 3), []);
    assert.ok(loud.every((line) => line.includes('"level":"warn"')));
    for (const lane of LANES) {
      await eventually(async () => {
        for (const list of ['wait', 'active']) {
          assert.deepEqual(await stack.redis.lrange(stack.tenant.keys.lane(lane, list), 0, -1), []);
        }
      });
    }
  }

  it('that BullMQ adds each get an outcome, and no call is made but for an id that was named', async (t) => {
    const input = fc.record({
      text: dataText,
      name: jobName,
      options: jobOptions,
      lane: fc.constantFrom(...LANES),
    });
    const inputs = fc.sample(input, { numRuns: COSTLY_RUNS, seed: SEED });
    const total = new Map<string, number>();
    let refused = 0;
    for (let at = 0; at < inputs.length; at += AT_ONCE) {
      const jobs = new Map<string, { text: string; words: string }>();
      for (const { text, name, options, lane } of inputs.slice(at, at + AT_ONCE)) {
        const id = idIn(text);
        if (id !== null) named.add(id);
        const words = `${JSON.stringify(name)} ${text.slice(0, 300)} ${JSON.stringify(options)} (seed ${SEED})`;
        const job = await queueOf(lane)
          .add(name, JSON.parse(text), options)
          .catch(() => null);
        // One that stands for an earlier of the same name is none of its own.
        if (job === null || job.id === undefined) refused++;
        else if (isOwnKey(job.id) || options.deduplication || options.jobId !== undefined) continue;
        else jobs.set(`${lane} ${job.id}`, { text, words });
      }
      for (const [outcome, count] of await settle(jobs))
        total.set(outcome, (total.get(outcome) ?? 0) + count);
    }
    const { cancels } = judgeCalls();
    await judgeRest();
    const counted = JSON.stringify(Object.fromEntries(total));
    t.diagnostic(
      `${inputs.length} jobs through BullMQ (seed ${SEED}): ${counted}, ${refused} refused by BullMQ; ${cancels} cancels so far`,
    );
  });

  it('that are written by hand each get an outcome, and no call is made but for an id that was named', async (t) => {
    const input = fc.record({ hash: rawHash, jobId: strangeText, lane: fc.constantFrom(...LANES) });
    const inputs = fc.sample(input, { numRuns: COSTLY_RUNS, seed: SEED });
    const total = new Map<string, number>();
    let n = 0;
    for (let at = 0; at < inputs.length; at += AT_ONCE) {
      const jobs = new Map<string, { text: string; words: string }>();
      for (const { hash, jobId, lane } of inputs.slice(at, at + AT_ONCE)) {
        const text = hash['data'] ?? '';
        const id = idIn(text);
        if (id !== null) named.add(id);
        // As Redis gives it back: what is no text is replaced.
        const odd = Buffer.from(`r${n++}${jobId.slice(0, 200)}`).toString();
        await pushRaw(stack, lane, odd, hashOf(hash));
        jobs.set(`${lane} ${odd}`, { text, words: `${JSON.stringify(hash).slice(0, 400)} (seed ${SEED})` });
      }
      for (const [outcome, count] of await settle(jobs))
        total.set(outcome, (total.get(outcome) ?? 0) + count);
    }
    const { cancels } = judgeCalls();
    await judgeRest();
    t.diagnostic(
      `${inputs.length} jobs written by hand (seed ${SEED}): ${JSON.stringify(Object.fromEntries(total))}; ${cancels} cancels so far`,
    );
  });
});
