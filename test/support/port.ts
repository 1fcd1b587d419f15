import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { PATIENCE_MS } from './wait.ts';

/** Somebody has taken a Redis server's port, or that of its cluster bus, since it was looked for. */
class PortTaken extends Error {}

/** What a node of a cluster says instead where its bus, 10,000 above its port, would be above all ports. */
const TAKEN = /Failed listening on port|port number too high/;

const LOOK_MS = 20;

/** A TCP port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return address.port;
}

/** Starts a server on a port that it gets: one that was free may be taken before the server has it, or its cluster bus' be in use. */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (!(error instanceof PortTaken)) throw error;
    }
  }
}

/**
 * Resolves once a Redis server that was just started answers, and not another one that has its port.
 *
 * @param admin a connection to its port. It waits for a server as long as it takes, so for one that has ended it would for ever.
 * @throws PortTaken
 * @throws Error when it ends for another reason, with the end of its log, or does not answer in time.
 */
export async function untilAnswers(child: ChildProcess, admin: Redis, logFile: string): Promise<void> {
  const stop = new AbortController();
  const over = once(child, 'exit', { signal: stop.signal }).catch(() => undefined);
  const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  const itself = new RegExp(`^process_id:${child.pid}\r$`, 'm');
  try {
    while (!hasEnded(child)) {
      const info = await Promise.race([over, admin.info('server').catch(() => '')]);
      if (itself.test(String(info))) return;
      if (stop.signal.aborted) throw new Error('a Redis server does not answer');
      await delay(LOOK_MS);
    }
    throw await reasonOf(logFile);
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function reasonOf(logFile: string): Promise<Error> {
  const log = await readFile(logFile, 'utf8').catch(() => '');
  const last = log.trim().split('\n').slice(-3).join('\n');
  return TAKEN.test(last) ? new PortTaken(last) : new Error(`a Redis server ended at its start: ${last}`);
}
