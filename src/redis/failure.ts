import { messageOf, StanddownError } from '../errors.ts';
import { foreign } from '../foreign.ts';
import { describeRedis, type RedisTarget } from './target.ts';

const LOOK = 'look at REDIS_URL and at the server it names';
const MUTE = 'it does not answer in time; look whether it runs, or is stopped, and at its log and load';
const CORRECT = 'start it, or correct REDIS_URL';
const WAY = 'check the address, the network and firewalls';
const PLAIN = 'write redis:// in REDIS_URL, or switch TLS on there';
const TRUST = 'if its certificate is from an authority of your own, name that in NODE_EXTRA_CA_CERTS';
const REFUSED =
  'its user may not do this (NOPERM); give the user in REDIS_URL the rights that docs/redis.md lists: ACL LOG in Redis names what was refused';

/**
 * What is the matter and what to do. By the code of the system or of TLS, or by the first word of Redis' answer, or by
 * the whole message where ioredis gives nothing else.
 */
const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: `nothing listens there (ECONNREFUSED); ${CORRECT}`,
  ENOENT: `there is no such socket (ENOENT); ${CORRECT}`,
  EACCES: 'this user may not use that socket (EACCES); run as the user who owns it',
  ENOTFOUND: 'its name is not known (ENOTFOUND); correct REDIS_URL, or check DNS',
  EAI_AGAIN: 'its name could not be looked up (EAI_AGAIN); check DNS and the network',
  ETIMEDOUT: `it does not take the connection in time (ETIMEDOUT); ${WAY}`,
  EHOSTUNREACH: `no way leads there (EHOSTUNREACH); ${WAY}`,
  ENETUNREACH: `no way leads there (ENETUNREACH); ${WAY}`,
  ECONNRESET: 'it hangs up (ECONNRESET); if it speaks TLS, write rediss:// in REDIS_URL',
  EPROTO: `it does not speak TLS (EPROTO); ${PLAIN}`,
  ERR_SSL_WRONG_VERSION_NUMBER: `it does not speak TLS; ${PLAIN}`,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: `it does not speak TLS; ${PLAIN}`,
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate is for another name; use that name in REDIS_URL',
  CERT_HAS_EXPIRED: 'its TLS certificate has expired; renew it',
  DEPTH_ZERO_SELF_SIGNED_CERT: `its TLS certificate is self-signed; ${TRUST}`,
  SELF_SIGNED_CERT_IN_CHAIN: `its TLS certificate is not trusted (SELF_SIGNED_CERT_IN_CHAIN); ${TRUST}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `its TLS certificate is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE); ${TRUST}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `its TLS certificate is not trusted (UNABLE_TO_GET_ISSUER_CERT_LOCALLY); ${TRUST}`,
  NOAUTH: 'it wants a password (NOAUTH); write redis://:password@… in REDIS_URL',
  WRONGPASS: 'it refuses the user name or password (WRONGPASS); correct them in REDIS_URL',
  NOPERM: REFUSED,
  DENIED: 'it takes connections from its own machine only (DENIED); set a password there',
  LOADING: 'it is still loading its data (LOADING); try again in a moment',
  'Command timed out': MUTE,
  timeout: MUTE,
  Unknown: 'what answers there is no Redis; correct REDIS_URL',
  'Connection is closed.': `it closes the connection; ${WAY}, and whether it speaks TLS (rediss)`,
};

/** What is the matter with Redis and what to do, in a few words without secrets. */
export function causeOf(error: unknown): string {
  if (isNotPermitted(error)) return REFUSED;
  const message = messageOf(error);
  const word = message.split(' ')[0] ?? '';
  const known = CAUSES[codeOf(error)] ?? CAUSES[message] ?? CAUSES[word];
  if (known !== undefined) return known;
  const words = foreign(message, 300);
  return isReply(error) ? `it answers "${words}"; ${LOOK}` : `${words.replace(/\.$/, '')}; ${LOOK}`;
}

/**
 * The error for a command that got no answer from Redis: names where it is, the cause, and what to do, in one line
 * without secrets. A `StanddownError` is returned as it is.
 */
export function redisUnreachable({ target, error }: { target: RedisTarget; error: unknown }): StanddownError {
  if (error instanceof StanddownError) return error;
  const where = describeRedis(target);
  // A server that speaks plain text waits for the rest of what it takes for a command.
  const mute = 'tls' in target && target.tls && codeOf(error) === 'ETIMEDOUT';
  const cause = `${causeOf(deepest(error))}${mute ? `; or it does not speak TLS: ${PLAIN}` : ''}`;
  return new StanddownError('REDIS_UNREACHABLE', `cannot use Redis at ${where}: ${cause}`, {
    cause: error,
    context: { redis: where },
  });
}

/**
 * The error for a command that Redis would not run, or null where the error is about something else. One line without
 * secrets, as that of `redisUnreachable`.
 */
export function redisRefused({
  target,
  error,
}: {
  target: RedisTarget;
  error: unknown;
}): StanddownError | null {
  const reply = replyIn(error);
  if (!isReply(reply)) return null;
  const where = describeRedis(target);
  return new StanddownError('REDIS_FAILED', `cannot use Redis at ${where}: ${causeOf(reply)}`, {
    cause: error,
    context: { redis: where },
  });
}

/**
 * Whether Redis says that its user may not use a command or a key. What a script met some servers say in words of their
 * own, without the code.
 */
export function isNotPermitted(error: unknown): boolean {
  const reply = replyIn(error);
  return isReply(reply) && /\bNOPERM\b|user executing the script can't/.test(messageOf(reply));
}

/**
 * Whether its user may not use a command at all. One that may not touch a key can be a job's doing, which names keys of
 * its own (its parent's), and says nothing about other jobs.
 */
export function isCommandRefused(error: unknown): boolean {
  return isNotPermitted(error) && !/\bkeys?\b|channel/i.test(messageOf(replyIn(error)));
}

/** An error of our own keeps Redis' answer as its cause. */
function replyIn(error: unknown): unknown {
  return error instanceof StanddownError ? error.cause : error;
}

/** Whether an error says little more than that something failed: it has no code and Redis did not say it. */
export function isVague(error: unknown): boolean {
  return codeOf(error) === '' && !isReply(error);
}

/** Whether it is Redis' own answer. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/** A cluster says only that all its nodes failed, and keeps the reason of the last one aside. */
function deepest(error: unknown): unknown {
  return error instanceof Error && 'lastNodeError' in error ? (error.lastNodeError ?? error) : error;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
