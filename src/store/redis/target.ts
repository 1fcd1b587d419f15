/** One address of a server. */
export interface HostPort {
  host: string;
  port: number;
}

interface Common {
  username?: string;
  password?: string;
}

/** One Redis server. */
export interface SingleTarget extends Common, HostPort {
  kind: 'single';
  tls: boolean;
  db: number;
}

/** One Redis server on this machine, by its unix socket. */
export interface UnixTarget extends Common {
  kind: 'unix';
  path: string;
  db: number;
}

/** The master that sentinels name. */
export interface SentinelTarget extends Common {
  kind: 'sentinel';
  tls: boolean;
  db: number;
  sentinels: HostPort[];
  master: string;
  sentinelUsername?: string;
  sentinelPassword?: string;
}

/** A Redis Cluster, by some of its nodes. */
export interface ClusterTarget extends Common {
  kind: 'cluster';
  tls: boolean;
  nodes: HostPort[];
}

/** Where Redis is and how to get in. */
export type RedisTarget = SingleTarget | UnixTarget | SentinelTarget | ClusterTarget;

/** The target as a URL without user names and passwords, for logs and errors. */
export function describeRedis(target: RedisTarget): string {
  switch (target.kind) {
    case 'single':
      return `${scheme(target)}://${addresses([target])}/${target.db}`;
    case 'unix':
      return `unix://${target.path}${target.db === 0 ? '' : `?db=${target.db}`}`;
    case 'sentinel':
      return `${scheme(target)}-sentinel://${addresses(target.sentinels)}/${target.master}?db=${target.db}`;
    case 'cluster':
      return `${scheme(target)}-cluster://${addresses(target.nodes)}`;
  }
}

function scheme({ tls }: { tls: boolean }): string {
  return tls ? 'rediss' : 'redis';
}

function addresses(list: readonly HostPort[]): string {
  return list.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
}
