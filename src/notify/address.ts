import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** All global addresses of IPv6. What is left of the rest leads to IPv4 in disguise, or nowhere. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** Whether an address is one of the internet's, and none of this machine's, of a private network, or with a special use. */
export function isPublic(address: string): boolean {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  return !(parsed instanceof ipaddr.IPv6) || parsed.match(GLOBAL_V6);
}

/** The code of a refusal. */
const PRIVATE_ADDRESS = 'PRIVATE_ADDRESS';

/** An address that a URL names itself is connected to without being looked up. */
export function literalProblem(hostname: string): Error | null {
  const address = hostname.replace(/^\[|\]$/g, '');
  return isIP(address) !== 0 && !isPublic(address) ? refusal(address) : null;
}

/**
 * Looks up a name for a connection that is being made, and refuses it when any of its addresses is not public: checked
 * before, a name could have another address by the time it is connected to.
 */
export function createPublicLookup(lookup: typeof systemLookup = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const [first] = addresses;
      const refused = addresses.find(({ address }) => !isPublic(address));
      if (refused || !first) return callback(refusal(refused?.address ?? hostname), []);
      if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function refusal(address: string): NodeJS.ErrnoException {
  const message = `${address} is not a public address; set NOTIFY_ALLOW_PRIVATE=true to allow it`;
  return Object.assign(new Error(message), { code: PRIVATE_ADDRESS });
}
