/*
 * The keeper of an embedded Redis: a small process of its own that starts the server, looks every second whether anybody
 * is connected, and stops it when nobody has been for a while. embedded.ts starts it, in the server's folder. When
 * something goes wrong it says so in one line on stderr, which is keeper.log.
 */
import { stat } from 'node:fs/promises';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { type KeeperOrders, SOCKET_FILE, START_LOCK } from './embedded-files.ts';
import { withLock } from './lock.ts';
import { ask, probe } from './probe.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const NAME = 'standdown-redis-keeper';
const LOCK = {
  path: START_LOCK,
  waitMs: 20_000,
  what: 'starting Redis',
  code: 'REDIS_UNREACHABLE',
} as const;
const LOOK_MS = 1000;
/** While somebody is there, looks are rarer: the time counts from the first look that finds nobody. */
const LOOK_IN_USE_MS = 2000;
/** Longer than the server takes from the last look to its end. */
const CLOSING_MS = 10_000;

async function main([, , folder = '', orders = '{}']: readonly string[]): Promise<void> {
  process.title = `${NAME} ${folder}`;
  const told: KeeperOrders = JSON.parse(orders);
  const started = await withLock(LOCK, async () => {
    // Whoever listens there lives and writes to the files, even if it does not answer.
    return (await probe(SOCKET_FILE)) === 'absent' ? startServer(told) : undefined;
  });
  if (started !== undefined) await keep(started, told.graceMs);
}

async function keep(server: ServerProcess, graceMs: number): Promise<void> {
  const socket = await socketNumber();
  let alone: number | undefined = systemClock.monotonic();
  while (!server.ended) {
    // Without its socket, or behind another's, nobody can reach it any more: the folder was deleted, perhaps.
    if (socket === undefined || (await socketNumber()) !== socket) break;
    const lookMs = Math.min(alone === undefined ? LOOK_IN_USE_MS : LOOK_MS, graceMs);
    await Promise.race([systemClock.sleep(lookMs), server.end]);
    if ((await isInUse()) || !(await isAlone(['CLIENT LIST']))) alone = undefined;
    else alone ??= systemClock.monotonic();
    if (alone !== undefined && systemClock.monotonic() - alone >= graceMs && (await closeDoor())) break;
  }
  await server.stop();
}

/** A cheap look first: nearly always somebody is there, and this process should not be what keeps Redis busy. */
async function isInUse(): Promise<boolean> {
  const count = /connected_clients:(\d+)/.exec(await tell(['INFO clients']))?.[1];
  return count !== undefined && Number(count) > 1;
}

/**
 * Looks a last time and in the same step keeps everybody from writing, unless somebody is there. So a client that comes
 * now cannot have a write done and miss the answer: it finds its connection closed, has the server started again, and
 * sends the write once more.
 */
async function closeDoor(): Promise<boolean> {
  if (await isAlone(['MULTI', `CLIENT PAUSE ${CLOSING_MS} WRITE`, 'CLIENT LIST', 'EXEC'])) return true;
  await tell(['CLIENT UNPAUSE']);
  return false;
}

/**
 * Whether the list of clients shows this process and nobody else; false when the server does not say, and while it
 * loads its data, for whoever has started it waits for that without a connection.
 */
async function isAlone(commands: string[]): Promise<boolean> {
  const said = await tell(['PING', `CLIENT SETNAME ${NAME}`, ...commands]);
  const clients = said.split('\n').filter((line) => line.startsWith('id='));
  return (
    said.startsWith('+PONG') && clients.length > 0 && clients.every((line) => line.includes(` name=${NAME} `))
  );
}

async function tell(commands: string[]): Promise<string> {
  return ask({ socketPath: SOCKET_FILE, commands, timeoutMs: 5000 }).catch(() => '');
}

/** Tells one socket of this name from another; `undefined` when there is none. */
async function socketNumber(): Promise<number | undefined> {
  return stat(SOCKET_FILE).then(
    ({ ino }) => ino,
    () => undefined,
  );
}

try {
  await main(process.argv);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  // At once: while this process lives, so may a server that it started before it failed.
  process.exit(1);
}
