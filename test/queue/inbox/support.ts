import assert from 'node:assert/strict';
import type { Keys } from '../../../src/store/keys.ts';
import type { RedisClient } from '../../../src/store/script.ts';
import { eventually } from '../../support/wait.ts';

export interface Place {
  redis: RedisClient;
  keys: Keys;
}

/** One `XADD`, as any client does it. */
export async function add({ redis, keys }: Place, fields: Record<string, string>): Promise<string> {
  return String(await redis.call('XADD', keys.inbox, '*', ...Object.entries(fields).flat()));
}

export interface Told {
  entry: string;
  [field: string]: string;
}

/** Entries of a stream by their fields. */
export async function readStream({ redis }: Place, key: string): Promise<Told[]> {
  const entries = await redis.xrange(key, '-', '+');
  return entries.map(([id, flat]) => {
    const fields: Told = { entry: id };
    for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i] ?? ''] = flat[i + 1] ?? '';
    return fields;
  });
}

/** What the key of an id says; null: there is no such key. */
export async function ask({ redis, keys }: Place, id: string): Promise<Record<string, unknown> | null> {
  return JSON.parse((await redis.get(keys.outcome(id))) ?? 'null');
}

/** Waits until its key has an outcome. */
export function untilTold(place: Place, id: string, withinMs?: number): Promise<Record<string, unknown>> {
  return eventually(async () => {
    const told = await ask(place, id);
    assert.ok(told?.['outcome'], JSON.stringify(told));
    return told;
  }, withinMs);
}

/** Waits until the inbox is empty and nobody holds anything of it. */
export async function untilEmpty({ redis, keys }: Place, withinMs?: number): Promise<void> {
  await eventually(async () => {
    const pending = (await redis.call('XPENDING', keys.inbox, 'workers')) as [number];
    assert.deepEqual([await redis.xlen(keys.inbox), pending[0]], [0, 0]);
  }, withinMs);
}

/** Which of the rejected entries name this id, and why. */
export async function rejections(place: Place, text: string): Promise<string[]> {
  const all = await readStream(place, place.keys.rejected);
  return all.filter(({ fields }) => fields?.includes(text)).map(({ reason }) => reason ?? '');
}
