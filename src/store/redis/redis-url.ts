import { StanddownError } from '../../base/errors.ts';
import type {
  ClusterTarget,
  HostPort,
  RedisTarget,
  SentinelTarget,
  SingleTarget,
  UnixTarget,
} from './target.ts';

const FORMS =
  'redis://, rediss://, unix://, redis-sentinel://, rediss-sentinel://, redis-cluster://, rediss-cluster:// or an absolute path';
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;

/** A URL taken apart, nothing decoded yet. The standard URL class does not take lists of hosts. */
interface Parts {
  scheme: string;
  userinfo: string | undefined;
  hosts: string;
  path: string;
  query: URLSearchParams;
}

/**
 * Reads a REDIS_URL: `redis://[user:pass@]host[:port][/db]`, `unix:///path/to.sock[?db=n]` or a bare absolute path,
 * `redis-sentinel://[user:pass@]host[:port],…/master[?db=n&sentinelUsername=…&sentinelPassword=…]`,
 * `redis-cluster://[user:pass@]host[:port],…`; `rediss` in place of `redis` for TLS. Ports default to 6379, those of
 * sentinels to 26379, db to 0. User names and passwords are percent-encoded.
 *
 * @throws StanddownError `CONFIG_INVALID`, naming the mistake. No part of the URL but the scheme is ever repeated: with
 *   a stray character in it, a password can look like any other part.
 */
export function parseRedisUrl(url: string): RedisTarget {
  const text = url.trim();
  if (text.startsWith('/')) return parseUnix(split(`unix://${text}`));
  const parts = split(text);
  const tls = parts.scheme.startsWith('rediss');
  switch (parts.scheme) {
    case 'redis':
    case 'rediss':
      return parseSingle(parts, tls);
    case 'unix':
      return parseUnix(parts);
    case 'redis-sentinel':
    case 'rediss-sentinel':
      return parseSentinel(parts, tls);
    case 'redis-cluster':
    case 'rediss-cluster':
      return parseCluster(parts, tls);
    default:
      throw wrong(`unknown scheme "${parts.scheme}://"; use ${FORMS}`);
  }
}

function parseSingle({ userinfo, hosts, path, query }: Parts, tls: boolean): SingleTarget {
  const [address, ...more] = parseHosts(hosts, REDIS_PORT);
  if (address === undefined || more.length > 0)
    throw wrong('only one host is allowed here; for several use redis-cluster:// or redis-sentinel://');
  const [fromPath, ...rest] = path.split('/').filter((part) => part !== '');
  if (rest.length > 0) throw wrong('only a database number can follow the host, as in redis://host:6379/0');
  const fromQuery = parameters(query, ['db']).db;
  return { kind: 'single', tls, ...address, db: parseDb(fromPath ?? fromQuery), ...credentials(userinfo) };
}

function parseUnix({ userinfo, hosts, path, query }: Parts): UnixTarget {
  if (hosts !== '' || path.length < 2)
    throw wrong('a socket needs an absolute path, as in unix:///run/redis.sock');
  return {
    kind: 'unix',
    path: decode(path),
    db: parseDb(parameters(query, ['db']).db),
    ...credentials(userinfo),
  };
}

function parseSentinel({ userinfo, hosts, path, query }: Parts, tls: boolean): SentinelTarget {
  const master = decode(path.replace(/^\//, ''));
  if (master === '' || master.includes('/')) {
    throw wrong("the master's name must follow the sentinels, as in redis-sentinel://host:26379/mymaster");
  }
  const { db, ...sentinel } = parameters(query, ['db', 'sentinelUsername', 'sentinelPassword']);
  const sentinels = parseHosts(hosts, SENTINEL_PORT);
  return { kind: 'sentinel', tls, sentinels, master, db: parseDb(db), ...sentinel, ...credentials(userinfo) };
}

function parseCluster({ userinfo, hosts, path, query }: Parts, tls: boolean): ClusterTarget {
  parameters(query, []);
  if (path.replace(/^\/0?/, '') !== '') throw wrong('a cluster has only database 0; remove the path');
  return { kind: 'cluster', tls, nodes: parseHosts(hosts, REDIS_PORT), ...credentials(userinfo) };
}

function split(url: string): Parts {
  const [, scheme, authority = '', path = '', query = ''] =
    /^([a-z][a-z-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/i.exec(url) ?? [];
  if (scheme === undefined) throw garbled(`not a valid URL; use ${FORMS}`);
  const at = authority.lastIndexOf('@');
  return {
    scheme: scheme.toLowerCase(),
    userinfo: at === -1 ? undefined : authority.slice(0, at),
    hosts: authority.slice(at + 1),
    path,
    // A plus sign is a plus sign here, not a blank as in a web form.
    query: new URLSearchParams(query.replaceAll('+', '%2B')),
  };
}

function parseHosts(list: string, defaultPort: number): HostPort[] {
  return list.split(',').map((text) => {
    const [, bracketed, plain, port] = /^(?:\[([\da-f:.%]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
    const host = bracketed ?? plain;
    const number = port === undefined ? defaultPort : Number(port);
    if (host === undefined || number < 1 || number > 65535) {
      throw garbled(
        'invalid host; use name, name:port or [IPv6 address]:port, with a port between 1 and 65535',
      );
    }
    return { host, port: number };
  });
}

function credentials(userinfo: string | undefined): { username?: string; password?: string } {
  if (userinfo === undefined || userinfo === '') return {};
  const colon = userinfo.indexOf(':');
  if (colon === -1)
    throw wrong('a user name without a password; use redis://user:password@… or redis://:password@…');
  const [username, password] = [decode(userinfo.slice(0, colon)), decode(userinfo.slice(colon + 1))];
  if (password === '') throw wrong('the password is empty; if there is none, remove the user name and the @');
  return username === '' ? { password } : { username, password };
}

function parseDb(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d{1,6}$/.test(text)) throw wrong('the database must be a number, 0 or greater');
  return Number(text);
}

function parameters<Name extends string>(
  query: URLSearchParams,
  known: readonly Name[],
): Partial<Record<Name, string>> {
  const allowed: readonly string[] = known;
  if ([...query.keys()].some((name) => !allowed.includes(name))) {
    throw wrong(
      known.length === 0
        ? 'parameters after "?" are not supported for this scheme'
        : `unknown parameter after "?"; use ${known.join(', ')}`,
    );
  }
  const given: Partial<Record<Name, string>> = {};
  for (const name of known) {
    const value = query.get(name);
    if (value !== null) given[name] = value;
  }
  return given;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('a "%" must be followed by two hexadecimal digits; write %25 for a percent sign');
  }
}

function wrong(what: string): StanddownError {
  return new StanddownError('CONFIG_INVALID', `REDIS_URL: ${what}`);
}

/** For mistakes that a stray character in a password looks like. */
function garbled(what: string): StanddownError {
  return wrong(`${what}; characters such as @ : / ? # % in a user name or password must be percent-encoded`);
}
