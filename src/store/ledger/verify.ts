import type { Detail } from '../../base/outcome.ts';
import type { Keys } from '../keys.ts';
import { asList, asNumber, defineScript, type RedisClient } from '../script.ts';
import { FIRST_BUCKETS, RECORD_LUA } from './record.ts';
import { DECIDE_LUA, detailArguments } from './result.ts';

/**
 * Notes what a decided action's state became: appends its result once more, with that state. The outcome, and when it was
 * decided, stay. Only while the result that was read is the one that stands.
 *
 * KEYS  1 state, 2 bucket, 3 campaign, 4 results
 * ARGV  1 id (16 bytes), 2 campaign number, 3 buckets, 4 position of the result that was read, 5 decided at ms, 6… detail
 * Returns  {'noted'} | {'left'} | {'again', buckets}
 */
const verifyScript = defineScript(
  'verify',
  /* lua */ `
${RECORD_LUA}
${DECIDE_LUA}
local buckets = redis.call('HGET', KEYS[1], 'buckets') or '${FIRST_BUCKETS}'
if buckets ~= ARGV[3] then return {'again', buckets} end
local id = ARGV[1]
local r = load(KEYS[2], id)
if not r or r[CAMPAIGN] ~= tonumber(ARGV[2]) or not isDecided(r) or r[POSITION] ~= tonumber(ARGV[4]) then return {'left'} end
local detail = detailFrom(6)
local was, is = hasFlag(r, STOPPED), stops(detail)
if was ~= is then
  setFlag(r, STOPPED, is)
  redis.call('HINCRBY', KEYS[3], 'stopped', is and 1 or -1)
end
r[POSITION] = redis.call('HINCRBY', KEYS[3], 'results', 1)
save(KEYS[2], id, r)
append(KEYS[4], id, r, ARGV[5], detail)
return {'noted'}
`,
);

export interface VerifyInput {
  /** The action's 16 bytes. */
  id: Buffer;
  bucketKey: string;
  campaign: number;
  buckets: number;
  /** Of the result that was read. */
  position: number;
  /** Ms since 1970, as that result says. */
  decidedAt: number;
  detail: Detail;
}

export type Verified = { kind: 'noted' } | { kind: 'left' } | { kind: 'again'; buckets: number };

export async function verify(redis: RedisClient, keys: Keys, input: VerifyInput): Promise<Verified> {
  const { campaign } = input;
  const reply = asList(
    await verifyScript(
      redis,
      [keys.state, input.bucketKey, keys.campaign(campaign), keys.results(campaign)],
      [input.id, campaign, input.buckets, input.position, input.decidedAt, ...detailArguments(input.detail)],
    ),
  );
  if (reply[0] === 'again') return { kind: 'again', buckets: asNumber(reply[1]) };
  return { kind: reply[0] === 'noted' ? 'noted' : 'left' };
}
