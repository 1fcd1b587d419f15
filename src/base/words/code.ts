/**
 * A code and what was said with it; a code of the system or the network once, for `connect ECONNREFUSED 10.0.0.1:443` has it already.
 * Empty: there is neither.
 */
export function withCode(code: string | null | undefined, message: string | null | undefined): string {
  if (!code || !message) return code || message || '';
  const isSaid = message.startsWith(code) || (/^[A-Z\d_]+$/.test(code) && message.includes(code));
  return isSaid ? message : `${code}: ${message}`;
}
