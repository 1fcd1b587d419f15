import type { RedisClient } from '../../src/store/script.ts';

/*
 * Keys and their values as lines of text. Not by DUMP: what one Redis dumps an older one does not restore, and nobody could
 * read it. Bytes are written as the characters of the same number.
 */

type Value =
  | { type: 'string'; value: string }
  | { type: 'list' | 'set'; value: string[] }
  | { type: 'hash' | 'zset'; value: [string, string][] }
  /** Id, and names and values in turn. */
  | { type: 'stream'; value: [string, string[]][] };

/** `pttl`: ms until it expires; -1: never. */
export type Line = { key: string; pttl: number } & Value;

/** Every key that begins so, one line each, in the order of the keys. */
export async function dump(redis: RedisClient, prefix: string): Promise<string[]> {
  const lines: string[] = [];
  for (const key of (await redis.keys(`${prefix}*`)).sort()) {
    const value = await read(redis, key);
    // It may have expired since it was listed.
    if (value) lines.push(ascii({ key, pttl: await redis.pttl(key), ...value }));
  }
  return lines;
}

function ascii(line: Line): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(line).replaceAll(/[^ -~]/g, escaped);
}

async function read(redis: RedisClient, key: string): Promise<Value | null> {
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return { type, value: text(await redis.getBuffer(key)) };
    case 'list':
      return { type, value: (await redis.lrangeBuffer(key, 0, -1)).map(text) };
    case 'set':
      return { type, value: (await redis.smembersBuffer(key)).map(text) };
    case 'hash':
      return { type, value: pairs((await redis.callBuffer('HGETALL', key)) as Buffer[]) };
    case 'zset':
      return { type, value: pairs(await redis.zrangeBuffer(key, '0', '-1', 'WITHSCORES')) };
    case 'stream': {
      const entries = await redis.xrangeBuffer(key, '-', '+');
      return { type, value: entries.map(([id, fields]) => [text(id), fields.map(text)]) };
    }
    case 'none':
      return null;
    default:
      throw new TypeError(`${key} is a ${type}`);
  }
}

/** Writes one of them. */
export async function restore(redis: RedisClient, line: Line): Promise<void> {
  const { key, pttl } = line;
  switch (line.type) {
    case 'string':
      await redis.set(key, bytes(line.value));
      break;
    case 'list':
      await redis.rpush(key, ...line.value.map(bytes));
      break;
    case 'set':
      await redis.sadd(key, ...line.value.map(bytes));
      break;
    case 'hash':
      await redis.hset(key, ...line.value.flat().map(bytes));
      break;
    case 'zset':
      for (const [member, score] of line.value) await redis.zadd(key, score, bytes(member));
      break;
    case 'stream':
      for (const [id, fields] of line.value) await redis.xadd(key, id, ...fields.map(bytes));
      break;
  }
  if (pttl >= 0) await redis.pexpire(key, pttl);
}

function pairs(flat: readonly Buffer[]): [string, string][] {
  const found: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) found.push([text(flat[i]), text(flat[i + 1])]);
  return found;
}

function text(value: Buffer | null | undefined): string {
  return value?.toString('latin1') ?? '';
}

function bytes(value: string): Buffer {
  return Buffer.from(value, 'latin1');
}
