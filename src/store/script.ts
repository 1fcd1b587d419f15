import type { Cluster, Redis } from 'ioredis';
import { messageOf, StanddownError } from '../base/errors.ts';
import { foreign } from '../base/foreign.ts';

/** An ioredis connection, to a single server (or sentinels) or to a cluster. */
export type RedisClient = Redis | Cluster;

export type ScriptArgument = string | number | Buffer;

/** One Lua script. Loaded once per connection and then called by its hash. */
export type Script = (redis: RedisClient, keys: string[], args: ScriptArgument[]) => Promise<unknown>;

const scripts = new Map<string, string>();

/** Every script of the modules that are loaded: its Lua text by its name. */
export function definedScripts(): ReadonlyMap<string, string> {
  return scripts;
}

/**
 * Wraps a Lua text. The name appears in no key and in no reply; it only has to be unique.
 *
 * @throws StanddownError REDIS_FAILED when the call failed on the way or in Redis.
 */
export function defineScript(name: string, lua: string): Script {
  // A connection would run whichever of two it met first.
  if (scripts.has(name)) throw new TypeError(`two scripts are called ${name}`);
  scripts.set(name, lua);
  const command = `standdown:${name}`;
  return async (redis, keys, args) => {
    if (!Reflect.has(redis, command)) redis.defineCommand(command, { lua });
    const call: unknown = Reflect.get(redis, command);
    if (typeof call !== 'function') throw new TypeError(`script ${name} is not loaded`);
    try {
      return await call.call(redis, keys.length, ...keys, ...args);
    } catch (cause) {
      throw new StanddownError(
        'REDIS_FAILED',
        `Redis script ${name} failed: ${foreign(messageOf(cause), 300)}`,
        {
          cause,
        },
      );
    }
  };
}

/** A reply as a list; scripts answer with nothing else. */
export function asList(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new TypeError(`unexpected script reply: ${JSON.stringify(reply)}`);
  return reply;
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : value === null || value === undefined ? '' : String(value);
}

export function asNumber(value: unknown): number {
  return Number(asText(value));
}
