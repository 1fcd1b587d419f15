import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Outcome } from '../../src/base/outcome.ts';
import type { Environment } from '../../src/config/config.ts';
import type { Timings } from '../../src/config/timings.ts';
import { type Campaign, openCampaign, readCampaign } from '../../src/store/campaign/registry.ts';
import type { Ask, Begun, FinishAsk, Grant } from '../../src/store/ledger/calls.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { newTenant, type TestTenant } from './tenant.ts';

/** So many made-up ids, 16 bytes each, in a row. */
export function newIds(count: number): Buffer {
  return randomBytes(16 * count);
}

export function idAt(ids: Buffer, index: number): Buffer {
  return ids.subarray(16 * index, 16 * (index + 1));
}

/** The ledger of a tenant, with what tests say often. */
export function createProbe(tenant: TestTenant) {
  const { redis, keys, ledger } = tenant;

  async function campaign(
    name: string,
    options: { direct?: boolean; expiresAt?: number } = {},
  ): Promise<number> {
    const opened = await openCampaign(redis, keys, { name, comment: 'test', now: Date.now(), ...options });
    return opened.number;
  }

  function begin(id: Buffer, number: number, options: Partial<Ask> = {}): Promise<Begun> {
    return ledger.begin({
      id,
      operation: 'cancel',
      slotClass: 'bulk',
      campaign: number,
      register: false,
      expiresAt: null,
      requestedBy: null,
      requestedAt: 0,
      ...options,
    });
  }

  async function grant(id: Buffer, number: number, options: Partial<Ask> = {}): Promise<Grant> {
    const { answer } = await begin(id, number, options);
    assert.equal(answer.kind, 'granted');
    return answer as Grant;
  }

  function finish(id: Buffer, number: number, given: Grant, options: Partial<FinishAsk> = {}) {
    return ledger.finish({
      id,
      operation: 'cancel',
      campaign: number,
      slot: given.slot,
      untilMs: given.untilMs,
      slotFate: 'answered',
      verdict: { kind: 'decided', outcome: 'cancelled', detail: { httpStatus: 200 } },
      penaltyMs: 0,
      sign: 'alive',
      probe: given.probe,
      pauseReason: '',
      address: 'https://api.example/api/machineactions',
      ...options,
    });
  }

  return {
    campaign,
    begin,
    grant,
    finish,
    /** Calls the action, and lets it end so. */
    decide: async (id: Buffer, number: number, outcome: Outcome) => {
      const given = await grant(id, number);
      return finish(id, number, given, { verdict: { kind: 'decided', outcome, detail: {} } });
    },
    look: async (id: Buffer) => {
      const [record] = await ledger.look(id);
      return record ?? null;
    },
    read: async (number: number): Promise<Campaign> => {
      const found = await readCampaign(redis, keys, number);
      assert(found);
      return found;
    },
    slots: async () => (await redis.zrange(keys.slots('cancel'), '0', '-1')) as string[],
    list: async (number: number) =>
      (await redis.lrangeBuffer(keys.ids(number), 0, -1)).map((id) => id.toString('hex')),
    tracked: async (number: number) =>
      (await redis.smembersBuffer(keys.elsewhere(number))).map((id) => id.toString('hex')),
    kept: async (number: number) =>
      (await redis.hkeysBuffer(keys.kept(number))).map((id) => id.toString('hex')),
  };
}

export type Probe = ReturnType<typeof createProbe>;

/** A tenant of its own with a campaign, of one id. */
export async function newRequest(
  redis: RedisClient,
  env: Environment,
  timings?: Timings,
): Promise<{ tenant: TestTenant; probe: Probe; number: number; id: Buffer }> {
  const tenant = await newTenant(redis, env, timings);
  const probe = createProbe(tenant);
  const number = await probe.campaign('campaign');
  const id = newIds(1);
  await tenant.ledger.submit(number, id);
  return { tenant, probe, number, id };
}

/**
 * Counts everything again, from the records themselves: a campaign's counters must say the same.
 */
export async function recount(
  tenant: Pick<TestTenant, 'redis' | 'keys' | 'ledger'>,
  number: number,
): Promise<void> {
  const { redis, keys, ledger } = tenant;
  const found = await readCampaign(redis, keys, number);
  assert(found);
  const ids = Buffer.concat(await redis.lrangeBuffer(keys.ids(number), 0, -1));
  const records = await ledger.look(ids, number);
  const own = records.filter((record) => record?.campaign === number);
  const outcomes: Partial<Record<string, number>> = {};
  let open = 0;
  for (const record of own) {
    if (!record) continue;
    if (record.state === 'open' || record.state === 'checking') open++;
    else outcomes[record.state] = (outcomes[record.state] ?? 0) + 1;
  }
  assert.deepEqual(
    { total: found.total, open: found.open, outcomes: found.outcomes, stopped: found.stopped },
    { total: own.length, open, outcomes, stopped: own.filter((record) => record?.stopped).length },
    'the counters do not equal a recount',
  );
  const elsewhere = await redis.scard(keys.elsewhere(number));
  assert.equal(elsewhere, records.length - own.length, 'what it tracks is not what others own');
  const hex = Array.from({ length: ids.length / 16 }, (_, index) => idAt(ids, index).toString('hex'));
  assert.equal(new Set(hex).size, hex.length, 'an id is in the list twice');
}
