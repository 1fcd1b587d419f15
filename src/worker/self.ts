import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { SignInConfig } from '../config/sign-in.ts';
import { identityOf } from '../defender/identity.ts';
import type { Token } from '../defender/sign-in.ts';
import { readRoster, rosterEntry, type WorkerFacts } from '../store/budget/roster.ts';
import type { Keys } from '../store/keys.ts';
import { redisTime } from '../store/redis/time.ts';
import type { RedisClient } from '../store/script.ts';

/** Of a worker that is gone, so much longer is kept when it was last there, in ms; of the last one, for ever. */
const KEPT_MS = 3_600_000;

export type Self = ReturnType<typeof createSelf>;

/** What this worker says of itself in Redis, so that others see who is there and as whom it calls. */
export function createSelf(config: SignInConfig, version: string) {
  const id = randomBytes(8).toString('hex');
  let who: Pick<WorkerFacts, 'identity' | 'roles' | 'tokenEndsAt'> = {
    identity: '',
    roles: null,
    tokenEndsAt: null,
  };

  const facts = (trouble: string): WorkerFacts => ({
    host: hostname(),
    pid: process.pid,
    version,
    trouble,
    ...who,
  });

  return {
    id,
    facts,
    /** It signed in. */
    signedIn: (token: Token): void => {
      const { application, user, roles } = identityOf(token, config);
      who = {
        identity: user ?? `application ${application ?? '(not named in its token)'}`,
        roles,
        tokenEndsAt: new Date(token.expiresAt).toISOString(),
      };
    },
    /** It stops: nobody has to wait until its silence shows that. */
    leave: async (redis: RedisClient, keys: Keys): Promise<void> => {
      const now = Math.floor(await redisTime(redis));
      await redis.hset(keys.workers, id, `${now} ${rosterEntry(facts(''), true)}`);
    },
  };
}

/** Forgets workers that have been gone for long, but for the last one. */
export async function forgetGone(redis: RedisClient, keys: Keys): Promise<void> {
  const [now, entries] = await Promise.all([redisTime(redis), redis.hgetall(keys.workers)]);
  const [last] = readRoster(entries);
  const gone = Object.entries(entries).flatMap(([id, text]) => {
    const [seen] = readRoster({ [id]: text });
    const isKept = seen && (seen.seenAt === last?.seenAt || now - seen.seenAt < KEPT_MS);
    return isKept ? [] : [id];
  });
  if (gone.length > 0) await redis.hdel(keys.workers, ...gone);
}
