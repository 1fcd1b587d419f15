import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** Whether an address is of this machine only. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127(\.\d+){3}$/.test(address);
}

/**
 * Whether a request may bear this `Host`. A page elsewhere can point a name of its own at this machine (DNS rebinding),
 * and would then be of one origin with the console; but neither at an address, nor under a name that is not its own.
 *
 * @param names further names, lower-case.
 */
export function isKnownHost(header: string | undefined, names: readonly string[]): boolean {
  const name = hostOf(header);
  if (name === null) return false;
  return isIP(name) !== 0 || ['localhost', hostname().toLowerCase(), ...names].includes(name);
}

/** The name or address in a `Host`, without the port: another one may lead here through a tunnel. */
function hostOf(header: string | undefined): string | null {
  const url = header !== undefined && /^[\w.:[\]-]+$/.test(header) ? `http://${header}/` : '';
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase() : null;
}

/** Whether a form was sent by a page of the same host. Browsers say so with every POST. */
export function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}
