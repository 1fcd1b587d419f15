import { StanddownError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';

const EXAMPLE = 'http://proxy:8080';

/** What to do for a proxy that answers 407. */
export const PROXY_PASSWORD =
  'Put the user name and password of the proxy into HTTPS_PROXY, as in http://USER:PASSWORD@proxy:8080; escape special characters (%40 for @).';

/** HTTPS_PROXY with a scheme: many tools take `proxy:8080`, and `http` is what they mean. */
export function withScheme(text: string): string {
  return /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`;
}

/**
 * What is wrong with HTTPS_PROXY; null: nothing. Only what calls out asks: with a proxy that cannot be used a campaign can still be
 * aborted.
 */
export function proxyMistake(proxy: Secret | null): string | null {
  if (proxy === null) return null;
  const text = proxy.reveal();
  if (/^socks/i.test(text))
    return `HTTPS_PROXY: SOCKS proxies are not supported; use an HTTP proxy, for example ${EXAMPLE}`;
  if (!/^https?:/i.test(text)) return `HTTPS_PROXY: must begin with http:// or https://, as in ${EXAMPLE}`;
  // What decodes it later would throw.
  if (!isDecodable(text))
    return 'HTTPS_PROXY: contains a "%" that does not begin an escape such as %40; write %25 for a percent sign';
  return URL.canParse(text) ? null : `HTTPS_PROXY: not a valid URL; use for example ${EXAMPLE}`;
}

/** @throws StanddownError CONFIG_INVALID */
export function proxyUrl(proxy: Secret): string {
  const mistake = proxyMistake(proxy);
  if (mistake !== null)
    throw new StanddownError('CONFIG_INVALID', mistake, { context: { mistakes: [mistake] } });
  return proxy.reveal();
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
