import assert from 'node:assert/strict';
import { join } from 'node:path';
import { eventually } from '../support/wait.ts';
import { openServer, type RedisServer } from './server.ts';

export interface ClusterNodes {
  ports: readonly number[];
  /** Says whose data `owner` and `move` are about. */
  watch(key: string): Promise<void>;
  /** The master that has the watched key's slot. */
  owner(): Promise<RedisServer>;
  /** A master that does not. */
  other(): Promise<RedisServer>;
  /** Moves the watched slot to another master, some keys at a time, while it is used. */
  move(): Promise<void>;
  /** Makes a replica of the watched slot's master its successor, at once and whatever that one knows. */
  takeOver(): Promise<void>;
  close(): Promise<void>;
}

const NODE_TIMEOUT_MS = 1_500;
const RANGES = [
  [0, 5_460],
  [5_461, 10_922],
  [10_923, 16_383],
] as const;
const KEYS_AT_ONCE = 20;

interface Known {
  id: string;
  port: number;
  isMaster: boolean;
  /** Id of the master that a replica follows. */
  follows: string;
  isUp: boolean;
  slots: readonly (readonly [number, number])[];
}

/** Three masters with a replica each. */
export async function openNodes(dir: string, settings: readonly string[]): Promise<ClusterNodes> {
  const cluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT_MS)];
  const all: RedisServer[] = [];
  for (let index = 0; index < 2 * RANGES.length; index++)
    all.push(await openServer(join(dir, String(index)), [...settings, ...cluster]));
  const ids = await Promise.all(all.map(async ({ admin }) => String(await admin.call('CLUSTER', 'MYID'))));
  let slot = 0;

  async function join_(): Promise<void> {
    const [first, ...rest] = all as [RedisServer, ...RedisServer[]];
    for (const [index, range] of RANGES.entries())
      await at(index).admin.call('CLUSTER', 'ADDSLOTSRANGE', ...range.map(String));
    // Two nodes with the same epoch would first have to settle which is the newer.
    for (const [index, { admin }] of all.entries())
      await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    for (const { port } of rest) await first.admin.call('CLUSTER', 'MEET', '127.0.0.1', String(port));
    for (const node of all)
      await eventually(async () => assert.equal((await look(node)).length, all.length), 20_000);
    for (const index of RANGES.keys())
      await at(index + RANGES.length).admin.call('CLUSTER', 'REPLICATE', ids[index] ?? '');
    for (const { admin } of all)
      await eventually(
        async () => assert.match(String(await admin.call('CLUSTER', 'INFO')), /cluster_state:ok/),
        20_000,
      );
    for (const { admin } of all.slice(RANGES.length))
      await eventually(
        async () => assert.match(await admin.info('replication'), /master_link_status:up/),
        20_000,
      );
  }

  function at(index: number): RedisServer {
    const node = all[index];
    assert(node);
    return node;
  }

  async function look({ admin }: RedisServer): Promise<Known[]> {
    const text = String(await admin.call('CLUSTER', 'NODES'));
    return text.trim().split('\n').map(parseNode);
  }

  /** What a node knows that is up; of one that was killed nothing is asked. */
  async function nodesUp(): Promise<{ known: Known; server: RedisServer }[]> {
    const [viewer] = all.filter(({ admin }) => admin.status === 'ready');
    assert(viewer, 'no node is up');
    return (await look(viewer))
      .filter(({ isUp }) => isUp)
      .map((known) => ({ known, server: all.find(({ port }) => port === known.port) as RedisServer }));
  }

  async function masters(): Promise<{ known: Known; server: RedisServer }[]> {
    return (await nodesUp()).filter(({ known }) => known.isMaster && known.slots.length > 0);
  }

  const hasSlot = ({ known }: { known: Known }) =>
    known.slots.some(([from, to]) => from <= slot && slot <= to);

  async function moveKeys(from: RedisServer, to: RedisServer): Promise<void> {
    for (;;) {
      const keys = (await from.admin.callBuffer('CLUSTER', 'GETKEYSINSLOT', slot, KEYS_AT_ONCE)) as Buffer[];
      if (keys.length === 0) return;
      await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys);
    }
  }

  await join_();
  return {
    ports: all.map(({ port }) => port),
    watch: async (key) => {
      slot = Number(await at(0).admin.call('CLUSTER', 'KEYSLOT', key));
    },
    owner: () =>
      eventually(async () => {
        const found = (await masters()).find(hasSlot);
        assert(found, 'nobody has the slot');
        return found.server;
      }, 20_000),
    other: () =>
      eventually(async () => {
        const found = (await masters()).find((master) => !hasSlot(master));
        assert(found, 'there is no other master');
        return found.server;
      }, 20_000),
    move: async () => {
      const all_ = await masters();
      const [from, to] = [all_.find(hasSlot), all_.find((master) => !hasSlot(master))];
      if (!from || !to) return;
      await to.server.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.known.id);
      await from.server.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.known.id);
      // With another node lost just now the cluster may be down for a while.
      await eventually(() => moveKeys(from.server, to.server), 60_000);
      for (const { server } of [to, from, ...all_.filter((master) => master !== to && master !== from)])
        await server.admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.known.id);
    },
    takeOver: () =>
      eventually(async () => {
        const up = await nodesUp();
        const owner = up.find(({ known }) => known.isMaster && hasSlot({ known }));
        const next = up.find(({ known }) => known.follows === owner?.known.id);
        assert(next, 'nobody follows the master of the slot');
        await next.server.admin.call('CLUSTER', 'FAILOVER', 'TAKEOVER');
      }, 20_000),
    close: async () => {
      for (const node of all) await node.close();
    },
  };
}

/** A line of CLUSTER NODES: id, address, flags, master, …, link, then slots. */
function parseNode(line: string): Known {
  const [id = '', address = '', flags = '', follows = '', , , , link, ...slots] = line.split(' ');
  return {
    id,
    port: Number(/:(\d+)@/.exec(address)?.[1]),
    isMaster: flags.split(',').includes('master'),
    follows,
    isUp: !/fail|noaddr|handshake/.test(flags) && link === 'connected',
    slots: slots
      .filter((text) => !text.startsWith('['))
      .map((text) => {
        const [from = '', to = from] = text.split('-');
        return [Number(from), Number(to)] as const;
      }),
  };
}
