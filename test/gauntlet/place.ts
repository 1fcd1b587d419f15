import { execFile } from 'node:child_process';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RedisClient } from '../../src/store/script.ts';
import { ROOT } from '../support/processes.ts';
import { openProxy, type TcpProxy } from '../support/proxy.ts';
import { plainServer, TEST_DIR } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import { type ClusterNodes, openNodes } from './cluster.ts';
import { openServer, type RedisServer } from './server.ts';

const run = promisify(execFile);

/** Where a round's data are: what workers are told as REDIS_URL, and what can be done to it. */
export interface Place {
  url: string;
  /** A connection that waits for Redis as long as it takes, and on which no fault of the network falls. */
  connect(): Promise<RedisClient>;
  /** The server that has the data now. */
  server(): Promise<RedisServer>;
  network?: TcpProxy;
  nodes?: ClusterNodes;
  /** Sets Redis' clock forth, or back, by so many ms. */
  stepClock?(ms: number): Promise<void>;
  /** Asks the sentinels to make the replica the primary. */
  failOver?(): Promise<unknown>;
  close(): Promise<void>;
}

const KEPT = ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'];

async function newDir(): Promise<string> {
  const dir = join(TEST_DIR, 'gauntlet', newLabel());
  await mkdir(dir, { recursive: true });
  return dir;
}

function placeAt(
  url: string,
  direct: string,
  server: () => Promise<RedisServer>,
  closers: (() => unknown)[],
): Place {
  const connections = plainServer({ url: direct });
  return {
    url,
    connect: () => connections.connect('worker'),
    server,
    close: async () => {
      await connections.close();
      for (const close of closers) await close();
    },
  };
}

/** One server with an append-only file. */
export async function openSingle(): Promise<Place> {
  const server = await openServer(await newDir(), KEPT);
  const url = `redis://127.0.0.1:${server.port}`;
  return placeAt(url, url, async () => server, [server.close]);
}

/** The same behind a network that can be made bad. */
export async function openBehindProxy(): Promise<Place> {
  const server = await openServer(await newDir(), KEPT);
  const network = await openProxy(server.port);
  const [url, direct] = [network.port, server.port].map((port) => `redis://127.0.0.1:${port}`) as [
    string,
    string,
  ];
  return { ...placeAt(url, direct, async () => server, [network.close, server.close]), network };
}

/** Builds what sets a server's clock off; null where there is no C compiler. */
export async function buildClock(): Promise<string | null> {
  const library = join(TEST_DIR, 'clock.so');
  await mkdir(TEST_DIR, { recursive: true });
  const built = `${library}.${process.pid}`;
  const source = join(ROOT, 'test/gauntlet/clock.c');
  try {
    await run('cc', ['-shared', '-fPIC', '-O1', '-o', built, source]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  await rename(built, library);
  return library;
}

/** One whose clock can be set. */
export async function openWithClock(): Promise<Place> {
  const library = await buildClock();
  if (library === null) throw new Error('there is no C compiler (cc)');
  const dir = await newDir();
  const file = join(dir, 'offset');
  const offset = (ms: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(ms));
    return bytes;
  };
  let total = 0;
  await writeFile(file, offset(total));
  const server = await openServer(join(dir, 'server'), KEPT, { LD_PRELOAD: library, CLOCK_OFFSET: file });
  const url = `redis://127.0.0.1:${server.port}`;
  return {
    ...placeAt(url, url, async () => server, [server.close]),
    stepClock: async (ms) => {
      total += ms;
      // In place: the server has the file mapped.
      await writeFile(file, offset(total), { flag: 'r+' });
    },
  };
}

const MASTER = 'gauntlet';

/** A primary, a replica, and three sentinels that agree on which is which. */
export async function openSentinels(): Promise<Place> {
  const dir = await newDir();
  const first = await openServer(join(dir, 'first'), KEPT);
  const second = await openServer(join(dir, 'second'), [
    ...KEPT,
    '--replicaof',
    '127.0.0.1',
    String(first.port),
  ]);
  const rules = [
    `sentinel monitor ${MASTER} 127.0.0.1 ${first.port} 2`,
    `sentinel down-after-milliseconds ${MASTER} 1000`,
    `sentinel failover-timeout ${MASTER} 4000`,
  ];
  const sentinels: RedisServer[] = [];
  for (const name of ['a', 'b', 'c']) {
    const file = join(dir, `${name}.conf`);
    await writeFile(file, `${rules.join('\n')}\n`);
    sentinels.push(await openServer(join(dir, name), [file, '--sentinel']));
  }
  const [sentinel] = sentinels as [RedisServer];
  await eventually(async () => {
    const [facts] = (await sentinel.admin.call('SENTINEL', 'MASTERS')) as [string[]];
    const value = (name: string) => Number(facts[facts.indexOf(name) + 1]);
    if (value('num-slaves') < 1 || value('num-other-sentinels') < 2) throw new Error(facts.join(' '));
  }, 30_000);
  const url = `redis-sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER}`;
  const primary = async () => {
    const [, port] = (await sentinel.admin.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER)) as [
      string,
      string,
    ];
    return Number(port) === first.port ? first : second;
  };
  const place = placeAt(url, url, primary, [
    ...sentinels.map(({ close }) => close),
    first.close,
    second.close,
  ]);
  return { ...place, failOver: () => sentinel.admin.call('SENTINEL', 'FAILOVER', MASTER) };
}

/** Three masters of a cluster, and a replica of each. */
export async function openCluster(): Promise<Place> {
  const nodes = await openNodes(await newDir(), KEPT);
  const url = `redis-cluster://${nodes.ports.map((port) => `127.0.0.1:${port}`).join(',')}`;
  return { ...placeAt(url, url, nodes.owner, [nodes.close]), nodes };
}
