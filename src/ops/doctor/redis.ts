import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../../base/clock.ts';
import { messageOf, StanddownError } from '../../base/errors.ts';
import { lastIdAhead } from '../../queue/inbox/ahead.ts';
import { type Keys, LANES, type LaneName } from '../../store/keys.ts';
import { checkRedis } from '../../store/redis/check.ts';
import { isCutOff } from '../../store/redis/connect.ts';
import { causeOf, cutOff, isNotPermitted } from '../../store/redis/failure.ts';
import { redisTime } from '../../store/redis/time.ts';
import type { RedisClient } from '../../store/script.ts';
import { type Finding, findingsOf } from './finding.ts';

const redisIs = findingsOf('redis');

const PINGS = 20;
/** A call waits for Redis twice. At the documented limits a worker has 600 ms for each. */
const SLOW_MS = 50;
/** Times in reports and `--expires-in` are by both clocks. */
const MOST_APART_MS = 2_000;

/** What keeps Redis from being used at all. */
export function judgeUnusable(error: unknown): Finding {
  // What to do follows what is the case.
  const [finding = '', ...advice] = messageOf(error).split('; ');
  return redisIs.problem({
    finding,
    meaning: 'Nothing can be submitted or cancelled.',
    advice: advice.length > 0 ? sentence(advice.join('; ')) : 'See REDIS_URL in .env.example.',
  });
}

/** Looks at the Redis at the other end. `where` without secrets. */
export async function examineRedis(
  redis: RedisClient,
  where: string,
  clock: Clock = systemClock,
): Promise<Finding[]> {
  try {
    const { version, server, warnings } = await checkRedis(redis);
    await runScript(redis);
    const medianMs = await measureLatency(redis, clock);
    return [
      redisIs.ok({ finding: `${NAMES[server]} ${version} at ${where}` }),
      ...warnings.map(judgeWarning),
      judgeLatency(medianMs),
      judgeClock(await measureOffset(redis, clock)),
    ];
  } catch (error) {
    if (error instanceof StanddownError) return [judgeUnusable(error)];
    const cause = causeOf(isCutOff(redis) ? cutOff() : error);
    return [judgeUnusable(new Error(`Redis at ${where}: ${cause}`))];
  }
}

/** What a service did to the inbox, and a worker mends within seconds: said where none runs. */
export async function examineInbox(redis: RedisClient, keys: Keys): Promise<Finding[]> {
  const last = await lastIdAhead({ redis, keys }, await redisTime(redis));
  if (last === null) return [];
  return [
    redisIs.warning({
      finding: `The last id of the inbox, ${last}, is far in the future: a service chose the id of an entry itself`,
      meaning: 'Services may be unable to add entries, or wait for outcomes that they do not see.',
      advice:
        'Start a worker: it processes the entry and resets the id. In the service, add entries with the id "*".',
    }),
  ];
}

/** Queues that a tool or a service paused: nothing else says why their jobs wait. */
export async function examineQueues(redis: RedisClient, keys: Keys): Promise<Finding[]> {
  const paused = await Promise.all(LANES.map((lane) => redis.hget(keys.lane(lane, 'meta'), 'paused')));
  return LANES.filter((_, i) => paused[i] !== null).map((lane) =>
    redisIs.warning({
      finding: `The queue "${lane}" is paused`,
      meaning: `${WAITING[lane]} wait until it is resumed.`,
      advice: `Resume it with the tool that paused it, or run HDEL '${keys.lane(lane, 'meta')}' paused in Redis.`,
    }),
  );
}

const WAITING: Record<LaneName, string> = {
  cancel: 'Single cancels',
  'cancel-urgent': 'Urgent single cancels and the actions of urgent campaigns',
  'cancel-campaign': 'The actions of all campaigns that are not urgent',
};

const NAMES = {
  redis: 'Redis',
  valkey: 'Valkey',
  dragonfly: 'Dragonfly',
  unknown: 'Redis-compatible server',
};

/** A warning of `checkRedis` says what to do after its colon. */
function judgeWarning(warning: string): Finding {
  const [finding = warning, advice = ''] = warning.split(/: (?=[^:]*$)/);
  return redisIs.warning({ finding, advice: sentence(advice) });
}

function sentence(words: string): string {
  return words === '' ? '' : `${words[0]?.toUpperCase()}${words.slice(1).replace(/\.$/, '')}.`;
}

export function judgeLatency(medianMs: number): Finding {
  const finding = `Redis answers in ${medianMs < 10 ? medianMs.toFixed(1) : Math.round(medianMs)} ms (median of ${PINGS})`;
  if (medianMs <= SLOW_MS) return redisIs.ok({ finding });
  return redisIs.warning({
    finding,
    meaning: 'This is slow: every call waits for Redis twice, and so does every step of a submit.',
    advice: 'Run workers closer to Redis, and check the load of Redis.',
  });
}

/** @param offsetMs how far Redis' clock is ahead. `errorMs`: how wrong that can be. */
export function judgeClock({ offsetMs, errorMs }: { offsetMs: number; errorMs: number }): Finding {
  const apart = Math.abs(offsetMs) - errorMs;
  const direction = offsetMs > 0 ? 'ahead of' : 'behind';
  if (apart < MOST_APART_MS) return redisIs.ok({ finding: 'The clocks of Redis and this machine agree' });
  return redisIs.warning({
    finding: `The clock of Redis is ${(Math.abs(offsetMs) / 1_000).toFixed(1)} s ${direction} the clock of this machine`,
    meaning:
      'This affects expected finish times, --expires-in and signing in with a certificate, but not the rate limits.',
    advice: 'Synchronize both machines with the same time source (NTP).',
  });
}

/** All that is submitted or called goes through scripts. @throws Redis' refusal, where its user may not run them. */
async function runScript(redis: RedisClient): Promise<void> {
  const script = 'return 1';
  await redis.eval(script, 0);
  await redis.evalsha(createHash('sha1').update(script).digest('hex'), 0).catch((error: unknown) => {
    // A cluster has asked another node.
    if (isNotPermitted(error)) throw error;
  });
}

async function measureLatency(redis: RedisClient, clock: Clock): Promise<number> {
  const times: number[] = [];
  for (let ping = 0; ping < PINGS; ping++) {
    const sentAt = clock.monotonic();
    await redis.ping();
    times.push(clock.monotonic() - sentAt);
  }
  times.sort((a, b) => a - b);
  const [low = 0, high = low] = times.slice(PINGS / 2 - 1);
  return (low + high) / 2;
}

async function measureOffset(
  redis: RedisClient,
  clock: Clock,
): Promise<{ offsetMs: number; errorMs: number }> {
  const sentAt = clock.monotonic();
  const redisNow = await redisTime(redis);
  const errorMs = (clock.monotonic() - sentAt) / 2;
  return { offsetMs: redisNow - (clock.wall() - errorMs), errorMs };
}
