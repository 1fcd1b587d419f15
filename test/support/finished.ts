import { openCampaign } from '../../src/store/campaign/registry.ts';
import { BATCH_IDS, BATCH_LUA, makeBatch } from '../../src/store/ledger/batch.ts';
import { ledgerSize } from '../../src/store/ledger/grow.ts';
import { RECORD_LUA } from '../../src/store/ledger/record.ts';
import { DECIDE_LUA } from '../../src/store/ledger/result.ts';
import { defineScript } from '../../src/store/script.ts';
import { newIds } from './ledger.ts';
import type { TestTenant } from './tenant.ts';

/**
 * Ends open ids of a campaign as if each had been called: a thousand of them in a step, with made-up details, and
 * decided at an even pace. For campaigns of a size that would take a month to call.
 *
 * KEYS  1 campaign, 2 results, then the batch's buckets
 * ARGV  1 ids, 2 places, 3 when the first one was decided (ms), 4 ms between two
 */
const endScript = defineScript(
  'end-for-test',
  /* lua */ `
${RECORD_LUA}
${BATCH_LUA}
${DECIDE_LUA}
local TYPES = {'Isolate', 'RunAntiVirusScan', 'CollectInvestigationPackage', 'RestrictCodeExecution'}
local i, at, step = 0, tonumber(ARGV[3]), tonumber(ARGV[4])
each(ARGV[1], ARGV[2], 3, function(id, bucket)
  local hash = string.byte(id, 1) * 256 + string.byte(id, 2)
  -- By its place and not by chance, so that each outcome is among any hundred.
  local outcome, status, code, text, http = 'cancelled', 'Cancelled', '', '', 200
  if i % 20 == 0 then outcome, status = 'already_final', 'Succeeded'
  elseif i % 50 == 1 then outcome, status = 'accepted', 'InProgress'
  elseif i % 100 == 2 then
    outcome, status, code, text, http = 'not_found', '', 'ResourceNotFound', 'No machine action has this id.', 404
  end
  local now = at + i * step
  local detail = {http, code, text, '', status, TYPES[hash % #TYPES + 1], guid(id):gsub('-', '') .. '00000000',
    'desktop-' .. hash .. '.corp.example.com', at - 3600000, math.floor(now), '', ''}
  if status == '' then for f = 5, 10 do detail[f] = '' end end
  local r = load(bucket, id)
  r[ATTEMPTS] = 1
  decide({bucket = bucket, campaign = KEYS[1], results = KEYS[2], expiries = ''}, id, r, outcome, detail, now)
  i = i + 1
end)
return {}
`,
);

export interface FinishedOptions {
  campaign: string;
  count: number;
  /** Ms since 1970. */
  startedAt: number;
  /** Ms between two outcomes. */
  stepMs: number;
}

/** A campaign of so many ids, all of which have ended. */
export async function makeFinished(tenant: TestTenant, options: FinishedOptions): Promise<void> {
  const { redis, keys, ledger } = tenant;
  const { count, startedAt, stepMs } = options;
  const wanted = {
    name: options.campaign,
    comment: 'Started by mistake',
    requestedBy: 'bench',
    now: startedAt,
  };
  const { number } = await openCampaign(redis, keys, wanted);
  await ledger.expect(count);
  for (let at = 0; at < count; at += BATCH_IDS) {
    const ids = newIds(Math.min(BATCH_IDS, count - at));
    await ledger.submit(number, ids);
    const { buckets } = await ledgerSize(redis, keys);
    const batch = makeBatch(keys, ids, buckets);
    await endScript(
      redis,
      [keys.campaign(number), keys.results(number), ...batch.bucketKeys],
      [batch.ids, batch.places, startedAt + at * stepMs, stepMs],
    );
  }
  await redis.zrem(keys.running, String(number));
}
