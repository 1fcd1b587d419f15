import type { Detail } from '../../base/outcome.ts';
import type { Keys } from '../keys.ts';
import { asList, asNumber, defineScript, type RedisClient } from '../script.ts';
import { outcomeKeys } from './outcomes.ts';
import { FIRST_BUCKETS, RECORD_LUA } from './record.ts';
import { DECIDE_LUA, detailArguments } from './result.ts';

/**
 * Settles an action that the list shows in a final state, without a call. Only where none was ever made and none is
 * being made: afterwards its state may be our own doing, and the call's answer says more.
 *
 * KEYS  1 state, 2 bucket, 3 campaign, 4 results, 5 expiries, 6 checking, 7 outcomes, 8 the id's outcome
 * ARGV  1 id (16 bytes), 2 campaign number, 3 buckets, 4… detail
 * Returns  {'settled', values} | {'left'} | {'again', buckets}
 */
const settleScript = defineScript(
  'settle',
  /* lua */ `
${RECORD_LUA}
${DECIDE_LUA}
local buckets = redis.call('HGET', KEYS[1], 'buckets') or '${FIRST_BUCKETS}'
if buckets ~= ARGV[3] then return {'again', buckets} end
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local r = load(KEYS[2], ARGV[1])
if not r or r[CAMPAIGN] ~= tonumber(ARGV[2]) or r[STATE] ~= OPEN then return {'left'} end
if r[SLOT] ~= 0 or r[ATTEMPTS] > 0 or r[PROBES] > 0 or hasFlag(r, UNCERTAIN) then return {'left'} end
local state = redis.call('HGET', KEYS[3], 'state')
if state ~= 'running' then return {'left'} end
local k = {bucket = KEYS[2], campaign = KEYS[3], results = KEYS[4], expiries = KEYS[5], checking = KEYS[6], outcomes = KEYS[7],
  outcome = KEYS[8]}
local _, values = decide(k, ARGV[1], r, 'already_final', detailFrom(4), now)
return {'settled', values}
`,
);

export type Settled =
  | { kind: 'settled'; values: readonly unknown[] }
  | { kind: 'left' }
  | { kind: 'again'; buckets: number };

export async function settle(
  redis: RedisClient,
  keys: Keys,
  input: { id: Buffer; bucketKey: string; campaign: number; buckets: number; detail: Detail },
): Promise<Settled> {
  const { campaign } = input;
  const reply = asList(
    await settleScript(
      redis,
      [
        keys.state,
        input.bucketKey,
        keys.campaign(campaign),
        keys.results(campaign),
        keys.expiries,
        keys.checking,
        ...outcomeKeys(keys, input.id),
      ],
      [input.id, campaign, input.buckets, ...detailArguments(input.detail)],
    ),
  );
  if (reply[0] === 'again') return { kind: 'again', buckets: asNumber(reply[1]) };
  return reply[0] === 'settled' ? { kind: 'settled', values: asList(reply[1]) } : { kind: 'left' };
}
