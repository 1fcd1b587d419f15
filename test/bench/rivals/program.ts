import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Agent, request } from 'undici';
import type { Quota } from '../../../src/simulator/limiter.ts';

/** What a rival's program is started with, as one argument of JSON. */
export interface ProgramOptions {
  /** Redis' unix socket. */
  socket: string;
  /** Distinguishes what one run keeps in Redis from what others do. */
  label: string;
  apiUrl: string;
  token: string;
  /** Calls at once in this process. */
  concurrency: number;
  /** How many such processes share the quota. */
  processes: number;
  /** The shorter window first. */
  quotas: readonly [Quota, Quota];
}

export function readOptions(): ProgramOptions {
  return JSON.parse(process.argv[2] ?? '') as ProgramOptions;
}

export function openRedis({ socket }: ProgramOptions): Redis {
  return new Redis({ path: socket, maxRetriesPerRequest: null });
}

/** What the API answered: `retryAfterMs` where it refused the call (429). */
export type Answer = { refused: false } | { refused: true; retryAfterMs: number };

/** The one call that all rivals make, over connections that are kept. */
export function createCaller({ apiUrl, token, concurrency }: ProgramOptions) {
  const agent = new Agent({ connections: concurrency });
  return {
    cancel: async (id: string): Promise<Answer> => {
      const { statusCode, headers, body } = await request(`${apiUrl}/api/machineactions/${id}/cancel`, {
        dispatcher: agent,
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ Comment: 'bench' }),
      });
      await body.dump();
      if (statusCode === 200) return { refused: false };
      if (statusCode !== 429) throw new Error(`the API answers ${statusCode}`);
      return { refused: true, retryAfterMs: 1_000 * Number(headers['retry-after']) };
    },
    close: () => agent.close(),
  };
}

/** Says that the program is ready, then waits for its ids: one a line, to the end of standard input. */
export async function receiveIds(): Promise<string[]> {
  process.stdout.write('ready\n');
  const ids: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) ids.push(line);
  return ids;
}

/** Works on the ids in order, so many at once. */
export async function forEachId(
  ids: readonly string[],
  atOnce: number,
  work: (id: string) => Promise<void>,
): Promise<void> {
  const rest = ids.values();
  const drain = async () => {
    for (const id of rest) await work(id);
  };
  await Promise.all(Array.from({ length: atOnce }, drain));
}

export { delay };
