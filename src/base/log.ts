import { type DestinationStream, type Logger, pino } from 'pino';
import { messageOf, StanddownError } from './errors.ts';
import { foreign, printableJson } from './foreign.ts';
import { withoutSecrets } from './secret.ts';

export type { Logger } from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LogOptions {
  level: LogLevel;
  /** Readable lines for a terminal; JSON otherwise. */
  pretty: boolean;
  /** Where lines go: standard error, since standard output carries results only. */
  destination?: DestinationStream;
  /** Added to every line; a new object each time. */
  more?: () => object;
}

/**
 * The logger. Secrets are left out by construction: whatever is logged, the finished line passes a filter that knows
 * every secret in use; and an error is logged by its name, code and message, never by its other properties, in which
 * libraries keep requests with their headers.
 */
export async function createLog(options: LogOptions): Promise<Logger> {
  const destination = options.destination ?? (await defaultDestination(options.pretty));
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      hooks: { streamWrite: (line) => printableJson(withoutSecrets(line), options.pretty) },
      ...(options.more && { mixin: options.more }),
    },
    destination,
  );
}

/** Longest message of an error, in characters. */
const MAX_TEXT = 2_000;

/** For parts that are given no logger. */
export const silentLog: Logger = pino({ level: 'silent' });

async function defaultDestination(isPretty: boolean): Promise<DestinationStream> {
  if (!isPretty) return pino.destination({ fd: 2, sync: true });
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: 2,
    sync: true,
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
    ignore: 'pid,hostname',
  });
}

function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: foreign(String(error), MAX_TEXT) };
  const code: unknown = Reflect.get(error, 'code');
  return {
    type: error.name,
    ...(code !== undefined && { code }),
    message: foreign(error.message, MAX_TEXT),
    ...(error instanceof StanddownError &&
      Object.keys(error.context).length > 0 && { context: error.context }),
    ...(error.cause !== undefined && { cause: foreign(messageOf(error.cause), MAX_TEXT) }),
    // A stack says something about a bug only; what the outside does has a code.
    ...(code === undefined && error.stack && { stack: error.stack }),
  };
}
