import { Cluster } from 'ioredis';
import type { Call } from '../../src/simulator/calls.ts';
import { findCampaign } from '../../src/store/campaign/registry.ts';
import { eachResult, type ReportLine, reportCampaign } from '../../src/store/campaign/report.ts';
import { LANES, type LaneName } from '../../src/store/keys.ts';
import { FREE_PROBES } from '../../src/store/ledger/finish.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { recount } from '../support/ledger.ts';
import type { SimulatorProcess } from '../support/simulator.ts';
import { quotas } from '../support/stack.ts';
import type { TestTenant } from '../support/tenant.ts';

/** A fault, from its beginning to its end (null: not over yet), in ms since 1970. */
export interface PlayedFault {
  name: string;
  from: number;
  to: number | null;
}

export interface Evidence {
  tenant: TestTenant;
  simulator: SimulatorProcess;
  campaign: string;
  ids: readonly string[];
  limits: string;
  maxAttempts: number;
  /** Workers that were ended by SIGKILL: each may have left a call whose answer nobody read. */
  kills: number;
  /** Whether Redis lost its data on the way: what it had recorded before is gone. */
  lossy: boolean;
  /** Whether somebody else used the quota, too, or it was lowered. */
  shared: boolean;
  /** Whether Redis' clock was set on the way: its times say nothing about the server's. */
  clockSet: boolean;
  played: readonly PlayedFault[];
}

export interface Verdict {
  requests: number;
  calls: number;
  overLimit: number;
  lost: number;
  doublyCounted: number;
  repeatedCalls: number;
  /** In words: what must never happen, and did. */
  violations: string[];
}

/** The simulator's clock and Redis' are the same machine's, read apart; in ms. */
const READING_MS = 5;

/** Judges a round by what the server saw and by what stands in Redis, not by what the workers say. */
export async function judge(evidence: Evidence): Promise<Verdict> {
  const { tenant, simulator, ids } = evidence;
  const violations: string[] = [];
  const campaign = await findCampaign(tenant.redis, tenant.keys, evidence.campaign);
  const calls = (await simulator.calls()).filter(({ operation }) => operation === 'cancel');

  const lines = new Map<string, ReportLine[]>();
  for await (const line of reportCampaign(tenant, campaign)) {
    lines.set(line.machineActionId, [...(lines.get(line.machineActionId) ?? []), line]);
  }
  const lost = ids.filter((id) => !lines.get(id)?.some(({ outcome }) => outcome !== null));
  if (lost.length > 0) violations.push(`${lost.length} ids have no outcome, such as ${lost[0]}`);
  const twice = [...lines].filter(([, { length }]) => length > 1);
  if (twice.length > 0) violations.push(`${twice.length} ids are reported twice, such as ${twice[0]?.[0]}`);

  const recorded = new Map<string, number>();
  for await (const { result } of eachResult(tenant, campaign, 0)) {
    recorded.set(result.machineActionId, (recorded.get(result.machineActionId) ?? 0) + 1);
  }
  // Nothing is retried or verified here: one generation, one entry.
  const doubly = [...recorded].filter(([, count]) => count > 1);
  if (doubly.length > 0) violations.push(`${doubly.length} ids have two results, such as ${doubly[0]?.[0]}`);
  await recount(tenant, campaign.number).catch((error: Error) => violations.push(error.message));

  const refused = calls.filter(({ verdict }) => verdict === 'refused');
  if (!evidence.shared) {
    if (refused.length > 0)
      violations.push(
        `${refused.length} calls were over the limit`,
        ...refused.slice(0, 5).map(({ wallMs }) => circumstances(wallMs, evidence.played)),
      );
    for (const { max, windowMs } of quotas(evidence.limits)) {
      const peak = await simulator.peak('cancel', windowMs);
      if (peak > max) violations.push(`${peak} calls within ${windowMs} ms, where ${max} are allowed`);
    }
  }

  const byId = Map.groupBy(calls, ({ id }) => id ?? '');
  for (const id of byId.keys())
    if (!ids.includes(id)) violations.push(`${id} was called, and never submitted`);
  let repeatedCalls = 0;
  for (const [id, its] of byId) {
    repeatedCalls += its.length - 1;
    const [line] = lines.get(id) ?? [];
    if (!line || line.decidedAt === null) continue;
    violations.push(...judgeCalls(line, its, evidence));
  }
  violations.push(...(await leftovers(tenant, ids)));
  return {
    requests: ids.length,
    calls: calls.length,
    overLimit: refused.length,
    lost: lost.length,
    doublyCounted: doubly.length,
    repeatedCalls,
    violations,
  };
}

/** What had been done to the scene before something happened, latest first. */
function circumstances(wallMs: number, played: readonly PlayedFault[]): string {
  const told = played
    .filter(({ from }) => from <= wallMs)
    .slice(-3)
    .reverse()
    .map(
      ({ name, from, to }) =>
        `${name} (${ago(wallMs - from)} to ${to === null ? 'the end' : ago(wallMs - to)})`,
    );
  return `  one at ${new Date(wallMs).toISOString()}, after: ${told.join(', ')}`;
}

function ago(ms: number): string {
  return ms < 0 ? `${-ms} ms later` : `${ms} ms before`;
}

/** No call after the outcome, and no more of them than there were reasons for. */
function judgeCalls(
  line: ReportLine & { decidedAt: string },
  calls: readonly Call[],
  evidence: Evidence,
): string[] {
  const violations: string[] = [];
  const decidedAt = Date.parse(line.decidedAt);
  // One that was late on its way had been given up before.
  const after = calls.filter(({ wallMs, fault }) => fault !== 'slow' && wallMs > decidedAt + READING_MS);
  const [first] = after;
  if (first && !evidence.clockSet) {
    const late = Math.round(first.wallMs - decidedAt);
    violations.push(`${line.machineActionId} was called ${late} ms after its outcome was recorded`);
  }
  if (evidence.lossy) return violations;
  const refusals = calls.filter(({ status }) => status === 401 || status === 429).length;
  const most = 1 + line.attempts + refusals + evidence.kills + FREE_PROBES;
  if (calls.length > most)
    violations.push(`${line.machineActionId} was called ${calls.length} times, ${most} at most`);
  // What was answered in order needs no further call: but for a worker that died of it, or an answer that was lost.
  const served = calls.filter(({ verdict, fault }) => verdict === 'served' && fault === null).length;
  const reasons =
    evidence.kills + calls.filter(({ verdict, fault }) => verdict !== 'served' || fault !== null).length;
  if (served > 1 + reasons + line.attempts)
    violations.push(`${line.machineActionId} was served ${served} times`);
  if (line.attempts > evidence.maxAttempts + evidence.kills) {
    violations.push(`${line.machineActionId} took ${line.attempts} attempts`);
  }
  return violations;
}

/** Nothing may be left running, claimed, locked or reserved. */
async function leftovers(tenant: TestTenant, ids: readonly string[]): Promise<string[]> {
  const { redis, keys, ledger } = tenant;
  const left: string[] = [];
  for (const lane of LANES) {
    for (const list of ['wait', 'active', 'paused'] as const) {
      const count = await redis.llen(keys.lane(lane, list));
      if (count > 0) left.push(`${count} jobs are ${list} in ${lane}`);
    }
    for (const set of ['delayed', 'prioritized', 'failed', 'stalled'] as const) {
      const type = await redis.type(keys.lane(lane, set));
      const count =
        type === 'set' ? await redis.scard(keys.lane(lane, set)) : await redis.zcard(keys.lane(lane, set));
      if (count === 0) continue;
      left.push(`${count} jobs are ${set} in ${lane}`);
      if (set === 'failed') left.push(...(await reasons(redis, tenant, lane)));
    }
  }
  const locks = await countKeys(redis, `${keys.prefix}*:lock`);
  if (locks > 0) left.push(`${locks} jobs are locked`);
  const records = await ledger.look(Buffer.from(ids.join('').replaceAll('-', ''), 'hex'));
  const busy = records.filter((record) => record?.busy !== false).length;
  if (busy > 0) left.push(`${busy} records are claimed, or unknown`);
  const [seconds] = await redis.time();
  const reserved = await redis.zcount(keys.slots('cancel'), (Number(seconds) + 1) * 1_000, '+inf');
  if (reserved > 0) left.push(`${reserved} slots are reserved for calls in flight`);
  const state = await redis.hmget(keys.state, 'cancel:hold', 'cancel:reason');
  if (state.some(Boolean)) left.push(`a hold stands: ${state[1]}`);
  return left;
}

/** Why jobs failed. */
async function reasons(redis: RedisClient, { keys }: TestTenant, lane: LaneName): Promise<string[]> {
  const jobs = await redis.zrange(keys.lane(lane, 'failed'), '0', '4');
  return Promise.all(
    jobs.map(async (job) => {
      const [reason, stack] = await redis.hmget(keys.lane(lane, job), 'failedReason', 'stacktrace');
      return `  one because ${reason}, ${stack}`;
    }),
  );
}

/** A cluster has to be asked node by node. */
async function countKeys(redis: RedisClient, pattern: string): Promise<number> {
  const nodes = redis instanceof Cluster ? redis.nodes('master') : [redis];
  const found = await Promise.all(nodes.map((node) => node.keys(pattern)));
  return found.flat().length;
}
