import { messageOf, StanddownError } from '../../base/errors.ts';
import { foreign } from '../../base/foreign.ts';
import { describeRedis, type RedisTarget } from './target.ts';

const LOOK = 'check REDIS_URL and its server';
const MUTE =
  'no answer in time; check that the server is running and not suspended, and look at its log and load';
const CORRECT = 'start Redis, or correct REDIS_URL';
const WAY = 'check the address, the network and the firewall';
const PLAIN = 'use redis:// in REDIS_URL, or enable TLS on the server';
const TRUST =
  'to trust your own certificate authority, set NODE_EXTRA_CA_CERTS in the environment to its certificate file';
const CERTIFICATE =
  'set "tls-auth-clients no" in its configuration (docs/redis.md): Standdown has a password, and no client certificate';
const REFUSED =
  'the Redis user lacks a permission (NOPERM); give the user in REDIS_URL the rights listed in docs/redis.md (ACL LOG in Redis shows what was refused)';

/**
 * What is the matter and what to do. By the code of the system or of TLS, or by the first word of Redis' answer, or by
 * the whole message where ioredis gives nothing else.
 */
const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: `nothing is listening there (ECONNREFUSED); ${CORRECT}`,
  ENOENT: `the socket does not exist (ENOENT); ${CORRECT}`,
  EACCES: 'no permission to use the socket (EACCES); run Standdown as the user who owns it',
  ENOTFOUND: 'unknown host name (ENOTFOUND); correct REDIS_URL, or check DNS',
  EAI_AGAIN: 'the host name could not be resolved (EAI_AGAIN); check DNS and the network',
  ETIMEDOUT: `the connection timed out (ETIMEDOUT); ${WAY}`,
  EHOSTUNREACH: `the host is unreachable (EHOSTUNREACH); ${WAY}`,
  ENETUNREACH: `the network is unreachable (ENETUNREACH); ${WAY}`,
  ECONNRESET: 'the server closed the connection (ECONNRESET); if it uses TLS, use rediss:// in REDIS_URL',
  EPROTO: `the server does not use TLS (EPROTO); ${PLAIN}`,
  ERR_SSL_WRONG_VERSION_NUMBER: `the server does not use TLS; ${PLAIN}`,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: `the server does not use TLS; ${PLAIN}`,
  'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE': `the server refused the TLS handshake; if it requires a client certificate, ${CERTIFICATE}; otherwise allow TLS 1.2 or 1.3 there`,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: `the server requires a client certificate; ${CERTIFICATE}`,
  ERR_TLS_CERT_ALTNAME_INVALID: 'the TLS certificate is for another host name; use that name in REDIS_URL',
  CERT_HAS_EXPIRED: 'the TLS certificate has expired; renew it',
  DEPTH_ZERO_SELF_SIGNED_CERT: `the TLS certificate is self-signed; ${TRUST}`,
  SELF_SIGNED_CERT_IN_CHAIN: `the TLS certificate is not trusted (SELF_SIGNED_CERT_IN_CHAIN); ${TRUST}`,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: `the TLS certificate is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE); ${TRUST}`,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: `the TLS certificate is not trusted (UNABLE_TO_GET_ISSUER_CERT_LOCALLY); ${TRUST}`,
  NOAUTH: 'Redis requires a password (NOAUTH); use redis://:PASSWORD@… in REDIS_URL',
  WRONGPASS: 'wrong user name or password (WRONGPASS); correct them in REDIS_URL',
  NOPERM: REFUSED,
  DENIED: 'Redis accepts only local connections (DENIED); set a password on the server',
  LOADING: 'Redis is still loading its data (LOADING); try again in a moment',
  'Command timed out': MUTE,
  timeout: MUTE,
  'cut off':
    'the server closes the connection instead of answering; raise "client-output-buffer-limit normal" in the configuration of Redis (its default, 0 0 0, is no limit), and check its log and what is in between',
  Unknown: 'the server is not Redis; correct REDIS_URL',
  'Connection is closed.': `the server closed the connection; ${WAY}, and whether the server uses TLS (rediss://)`,
};

/** Where it is spoken to over TLS already. With TLS 1.3 a server that misses a certificate may only hang up, after the handshake. */
const TLS_CAUSES: Readonly<Record<string, string>> = {
  ECONNRESET: `the server closed the connection (ECONNRESET); if it requires a client certificate, ${CERTIFICATE}`,
  'Connection is closed.': `the server closed the connection; ${WAY}; if the server requires a client certificate, ${CERTIFICATE}`,
};

/**
 * What is the matter with Redis and what to do, in a few words without secrets.
 *
 * @param target what was connected to, where that makes a difference.
 */
export function causeOf(error: unknown, target?: RedisTarget): string {
  if (isNotPermitted(error)) return REFUSED;
  const message = messageOf(error);
  const word = message.split(' ')[0] ?? '';
  const causes = target && usesTls(target) ? { ...CAUSES, ...TLS_CAUSES } : CAUSES;
  const known = causes[codeOf(error)] ?? causes[message] ?? causes[word];
  if (known !== undefined) return known;
  const words = foreign(message, 300);
  return isReply(error) ? `Redis answered "${words}"; ${LOOK}` : `${words.replace(/\.$/, '')}; ${LOOK}`;
}

/**
 * The error for a command that got no answer from Redis: names where it is, the cause, and what to do, in one line
 * without secrets. A `StanddownError` is returned as it is.
 */
export function redisUnreachable({ target, error }: { target: RedisTarget; error: unknown }): StanddownError {
  if (error instanceof StanddownError) return error;
  const where = describeRedis(target);
  // A server that speaks plain text waits for the rest of what it takes for a command.
  const mute = usesTls(target) && codeOf(error) === 'ETIMEDOUT';
  const cause = `${causeOf(deepest(error), target)}${mute ? `; or the server does not use TLS: ${PLAIN}` : ''}`;
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

/** What ioredis gives up a command with that was not answered. */
const UNANSWERED = ['Command timed out', 'Connection is closed.'];

/** Instead of an error of a connection that the server closes whenever it has to answer. */
export function cutOff(): Error {
  return new Error('cut off');
}

/**
 * The error for a command that Redis did not answer over a connection that was ready, or null where the error is about
 * something else. As that of `redisUnreachable`.
 */
export function redisUnanswered({
  target,
  error,
  isCutOff,
}: {
  target: RedisTarget;
  error: unknown;
  isCutOff: boolean;
}): StanddownError | null {
  const failure = replyIn(error);
  if (!(failure instanceof Error) || !UNANSWERED.includes(failure.message)) return null;
  return redisUnreachable({ target, error: isCutOff ? cutOff() : failure });
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

function usesTls(target: RedisTarget): boolean {
  return 'tls' in target && target.tls;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
