import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** All global addresses of IPv6. What is left of the rest leads to IPv4 in disguise, or nowhere. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Where clouds serve a machine its credentials, as far as that is no link-local address: Azure's wire server, which looks like
 * one of the internet's, Alibaba's, Oracle's older, and those of AWS and Google in IPv6. No receiver is there, ever.
 */
const METADATA = ['168.63.129.16', '100.100.100.200', '192.0.0.192', 'fd00:ec2::254', 'fd20:ce::254'];
const METADATA_ADDRESSES = new Set(METADATA.map((address) => ipaddr.parse(address).toNormalizedString()));

function isMetadata(address: string): boolean {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.process(address);
  return parsed.range() === 'linkLocal' || METADATA_ADDRESSES.has(parsed.toNormalizedString());
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
