/** The files of an embedded Redis, in its folder; the server, its keeper and its clients agree on them here. */
export const SOCKET_FILE = 'redis.sock';
export const START_LOCK = 'start.lock';
export const REDIS_LOG = 'redis.log';
export const KEEPER_LOG = 'keeper.log';

/**
 * The server's config file, which is empty: its name says which servers ended here in order one after the other, the last one first, so
 * that nothing is lost since. Scripts can read it (`store/budget/guard.ts`). No more of them than a file's name has room for.
 */
export const AFTER_FILE = /^after-([0-9a-f]{40}(?:-[0-9a-f]{40}){0,4})\.conf$/;
export const afterFile = (runIds: readonly string[]) => `after-${runIds.slice(0, 5).join('-')}.conf`;

/** What the keeper is told on its command line, as JSON. */
export interface KeeperOrders {
  /** Absolute path of the server. */
  command: string;
  /** The server's whole environment. */
  env: Record<string, string>;
  /** How long the server stays without clients, in ms. */
  graceMs: number;
}
