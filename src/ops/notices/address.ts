import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** All global addresses of IPv6. What is left of the rest leads to IPv4 in disguise, or nowhere. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Where clouds serve a machine its credentials, as far as that is no link-local address: Azure's wire server, which looks like
 * one of the internet's, Alibaba's, Oracle's older, and in IPv6 those of AWS, Google, Oracle and Scaleway. No receiver is there, ever.
 */
const METADATA = [
  ...['168.63.129.16', '100.100.100.200', '192.0.0.192'],
  ...['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe', 'fd00:42::42'],
];
const METADATA_ADDRESSES = new Set(METADATA.map((address) => ipaddr.parse(address).toNormalizedString()));

function isMetadata(address: string): boolean {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() === 'linkLocal' || METADATA_ADDRESSES.has(parsed.toNormalizedString())) return true;
  const within = parsed instanceof ipaddr.IPv6 ? embeddedIn(parsed) : null;
  return within !== null && isMetadata(within);
}

/** Where an IPv4 address stands in an IPv6 one that a translator or a tunnel leads to it, by its first byte. */
const EMBEDDING: readonly [network: string, at: number][] = [
  ['64:ff9b::/96', 12],
  ['64:ff9b:1::/48', 12],
  ['::ffff:0:0:0/96', 12],
  ['::/96', 12],
  ['2002::/16', 2],
];

function embeddedIn(address: ipaddr.IPv6): string | null {
  const found = EMBEDDING.find(([network]) => address.match(ipaddr.IPv6.parseCIDR(network)));
  return found
    ? address
        .toByteArray()
        .slice(found[1], found[1] + 4)
        .join('.')
    : null;
}

/** Whether an address is one of the internet's, and none of this machine's, of a private network, or with a special use. */
export function isPublic(address: string): boolean {
  if (isIP(address) === 0 || isMetadata(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  return !(parsed instanceof ipaddr.IPv6) || parsed.match(GLOBAL_V6);
}

/** Why nothing is sent to an address; null: it may be. */
function problemWith(address: string, allowPrivate: boolean): Error | null {
  if (isMetadata(address))
    return refusal(`${address} is a link-local or cloud metadata address; notices are never sent there`);
  if (allowPrivate || isPublic(address)) return null;
  return refusal(`${address} is not a public address; set NOTIFY_ALLOW_PRIVATE=true to allow it`);
}

/** The code of a refusal. */
const PRIVATE_ADDRESS = 'PRIVATE_ADDRESS';

/** An address that a URL names itself is connected to without being looked up. */
export function literalProblem(hostname: string, allowPrivate: boolean): Error | null {
  const address = hostname.replace(/^\[|\]$/g, '');
  return isIP(address) === 0 ? null : problemWith(address, allowPrivate);
}

/**
 * Looks up a name for a connection that is being made, and refuses it when any of its addresses is not allowed: checked
 * before, a name could have another address by the time it is connected to.
 */
export function createGuardedLookup(
  allowPrivate: boolean,
  lookup: typeof systemLookup = systemLookup,
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const [first] = addresses;
      if (!first) return callback(refusal(`${hostname} has no address`), []);
      for (const { address } of addresses) {
        const problem = problemWith(address, allowPrivate);
        if (problem) return callback(problem, []);
      }
      if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function refusal(message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code: PRIVATE_ADDRESS });
}
