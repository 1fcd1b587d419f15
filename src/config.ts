import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import {
  DEFAULT_RATE_LIMITS,
  type Limits,
  parseReserves,
  parseWindows,
  type Window,
} from './budget/windows.ts';
import { CLOUDS, type CloudName } from './defender/clouds.ts';
import { parseDuration } from './duration.ts';
import { StanddownError } from './errors.ts';
import { MOST_CALL_TIMEOUT_MS } from './ledger/record.ts';
import type { LogLevel } from './log.ts';
import { Secret, secretUrl } from './secret.ts';

/** How the application proves who it is. */
export type Credential =
  | { kind: 'secret'; secret: Secret }
  /** A PEM file with the private key and the certificate, read afresh whenever it changes. */
  | { kind: 'certificate'; path: string }
  /** A file with a token of another issuer, which Entra trusts; read afresh at each sign-in. */
  | { kind: 'federated'; path: string };

export interface SignInConfig {
  tenantId: string;
  clientId: string;
  credential: Credential;
  authorityHost: string;
  scope: string;
}

export interface ConsoleConfig {
  /** 0: any free one. */
  port: number;
  /** The address it listens on. */
  host: string;
  /** By which browsers may address it, besides addresses and this machine's own name; lower-case. */
  names: readonly string[];
  /** Null: not needed on a loopback address, unless the other one is given. */
  readToken: Secret | null;
  actToken: Secret | null;
}

export interface Config {
  /** Null: the embedded Redis. */
  redisUrl: Secret | null;
  /** A file that names tenants and their settings, absolute; null: these settings are those of the only one. */
  tenantsFile: string | null;
  /** Label of the tenant in Redis; null where neither it nor a tenant id was given. */
  tenant: string | null;
  /** Null where it is incomplete: commands that only look at Redis need none. */
  signIn: SignInConfig | null;
  /** What is missing to sign in. */
  signInMissing: readonly string[];
  cloud: CloudName;
  /** Without a slash at the end. */
  apiUrl: string;
  limits: Limits;
  concurrency: number;
  callTimeoutMs: number;
  maxAttempts: number;
  defaultComment: string | null;
  resultRetentionMs: number;
  precheck: 'auto' | 'off';
  /** Absolute. */
  dataDir: string;
  logLevel: LogLevel;
  /** Of the worker's health; 0: any free one; null: none. */
  healthPort: number | null;
  console: ConsoleConfig;
  watchdogMs: number;
  httpsProxy: Secret | null;
  noProxy: string | null;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const CLOUD_NAMES = ['public', 'gcc', 'gcc-high', 'dod'] as const;

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'may hold letters, digits, ".", "_" and "-" only, 64 at most');

/** A GUID, or the domain of a tenant. */
const tenantId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,253}$/, 'is not a tenant id or domain');

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms === null)
    context.addIssue({ code: 'custom', message: `"${text}" is not a duration such as 30s or 90d` });
  return ms ?? 0;
});

/** It is all that stands between a network and the console, so it must not be guessed. */
const consoleToken = z
  .string()
  .min(16, 'is too short: at least 16 characters, such as openssl rand -hex 32 gives');

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'is not a whole number')
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be from ${least} to ${most}`);

const environmentSchema = z.object({
  REDIS_URL: z.string().optional(),
  TENANTS_FILE: z.string().optional(),
  STANDDOWN_TENANT: name.optional(),
  AZURE_TENANT_ID: tenantId.optional(),
  AZURE_CLIENT_ID: z.string().optional(),
  AZURE_CLIENT_SECRET: z.string().optional(),
  AZURE_CLIENT_CERTIFICATE_PATH: z.string().optional(),
  AZURE_FEDERATED_TOKEN_FILE: z.string().optional(),
  AZURE_AUTHORITY_HOST: z
    .string()
    .refine((text) => URL.canParse(text) && new URL(text).protocol === 'https:', 'must begin with https://')
    .transform(baseUrl)
    .optional(),
  DEFENDER_CLOUD: z.enum(CLOUD_NAMES, `must be one of ${CLOUD_NAMES.join(', ')}`).default('public'),
  DEFENDER_API_URL: z.string().transform(baseUrl).optional(),
  DEFENDER_SCOPE: z.string().optional(),
  RATE_LIMITS: z.string().default(DEFAULT_RATE_LIMITS).transform(readWith(parseWindows)),
  URGENT_RESERVE: z.string().optional(),
  CONCURRENCY: whole(1, 1_000).default(10),
  CALL_TIMEOUT: duration
    .default(30_000)
    .refine((ms) => ms >= 100 && ms <= MOST_CALL_TIMEOUT_MS, 'must be from 100ms to 5m'),
  MAX_ATTEMPTS: whole(1, 100).default(8),
  DEFAULT_COMMENT: z.string().trim().max(4_000, 'may not be longer than 4000 characters').optional(),
  RESULT_RETENTION: duration.default(90 * 86_400_000),
  PRECHECK: z.enum(['auto', 'off'], 'must be auto or off').default('auto'),
  STANDDOWN_DATA_DIR: z.string().default('.standdown'),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  HEALTH_PORT: whole(0, 65_535).optional(),
  CONSOLE_PORT: whole(0, 65_535).default(8_089),
  CONSOLE_HOST: z
    .string()
    .refine((text) => text === 'localhost' || isIP(text) !== 0, 'is not an address such as 127.0.0.1 or ::')
    .default('127.0.0.1'),
  CONSOLE_NAMES: z
    .string()
    .regex(/^[A-Za-z0-9.-]+(\s*,\s*[A-Za-z0-9.-]+)*$/, 'is not a list of host names')
    .optional(),
  CONSOLE_READ_TOKEN: consoleToken.optional(),
  CONSOLE_ACT_TOKEN: consoleToken.optional(),
  WATCHDOG_TIMEOUT: duration
    .default(120_000)
    .refine((ms) => ms >= 1_000 && ms <= 3_600_000, 'must be from 1s to 1h'),
  HTTPS_PROXY: z
    .string()
    .refine(
      (text) => /^https?:\/\//.test(text) && URL.canParse(text),
      'is not an address such as http://proxy:8080',
    )
    .optional(),
  NO_PROXY: z.string().optional(),
});

type Parsed = z.infer<typeof environmentSchema>;

/** The names of all settings. */
export const SETTINGS: ReadonlySet<string> = new Set(Object.keys(environmentSchema.shape));

/** Those that are the same for every tenant of a process. */
export const PROCESS_SETTINGS: ReadonlySet<string> = new Set<keyof Parsed>([
  'TENANTS_FILE',
  'REDIS_URL',
  'STANDDOWN_DATA_DIR',
  'LOG_LEVEL',
  'HEALTH_PORT',
  'CONSOLE_PORT',
  'CONSOLE_HOST',
  'CONSOLE_NAMES',
  'CONSOLE_READ_TOKEN',
  'CONSOLE_ACT_TOKEN',
  'WATCHDOG_TIMEOUT',
  'HTTPS_PROXY',
  'NO_PROXY',
]);

/**
 * Reads the settings, once. A variable that is set to nothing counts as not set.
 *
 * @throws StanddownError CONFIG_INVALID that lists every mistake, one a line.
 */
export function readConfig(environment: Environment): Config {
  const given = Object.fromEntries(
    Object.keys(environmentSchema.shape).flatMap((key) => {
      const value = environment[key] ?? (key.endsWith('PROXY') ? environment[key.toLowerCase()] : undefined);
      return value === undefined || value.trim() === '' ? [] : [[key, value.trim()]];
    }),
  );
  const parsed = environmentSchema.safeParse(given);
  const mistakes = parsed.success
    ? []
    : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  const windows = parsed.success
    ? parsed.data.RATE_LIMITS
    : parseWindows(given['RATE_LIMITS'] ?? DEFAULT_RATE_LIMITS);
  const reserves = typeof windows === 'string' ? [] : parseReserves(given['URGENT_RESERVE'], windows);
  if (typeof reserves === 'string') mistakes.push(`URGENT_RESERVE: ${reserves}`);
  if (given['CONSOLE_READ_TOKEN'] && given['CONSOLE_READ_TOKEN'] === given['CONSOLE_ACT_TOKEN'])
    mistakes.push('CONSOLE_READ_TOKEN and CONSOLE_ACT_TOKEN: are the same, so whoever may read could act');
  const credentials = CREDENTIALS.filter((variable) => given[variable]);
  if (credentials.length > 1) mistakes.push(`${credentials.join(' and ')}: give only one of them`);
  if (!parsed.success || typeof windows === 'string' || typeof reserves === 'string' || mistakes.length > 0) {
    throw new StanddownError('CONFIG_INVALID', `the settings are not right:\n  ${mistakes.join('\n  ')}`, {
      context: { mistakes },
    });
  }
  return toConfig(parsed.data, windows, reserves);
}

function toConfig(env: Parsed, windows: readonly Window[], reserves: readonly Window[]): Config {
  const cloud = CLOUDS[env.DEFENDER_CLOUD];
  return {
    redisUrl: env.REDIS_URL === undefined ? null : secretUrl(env.REDIS_URL),
    tenantsFile: env.TENANTS_FILE === undefined ? null : resolve(env.TENANTS_FILE),
    tenant: env.STANDDOWN_TENANT ?? env.AZURE_TENANT_ID?.toLowerCase() ?? null,
    ...signInConfig(env, cloud.authorityHost, cloud.scope),
    cloud: env.DEFENDER_CLOUD,
    apiUrl: env.DEFENDER_API_URL ?? cloud.apiUrl,
    limits: { windows, reserves },
    concurrency: env.CONCURRENCY,
    callTimeoutMs: env.CALL_TIMEOUT,
    maxAttempts: env.MAX_ATTEMPTS,
    defaultComment: env.DEFAULT_COMMENT ?? null,
    resultRetentionMs: env.RESULT_RETENTION,
    precheck: env.PRECHECK,
    dataDir: resolve(env.STANDDOWN_DATA_DIR),
    logLevel: env.LOG_LEVEL,
    healthPort: env.HEALTH_PORT ?? null,
    console: consoleConfig(env),
    watchdogMs: env.WATCHDOG_TIMEOUT,
    httpsProxy: env.HTTPS_PROXY === undefined ? null : secretUrl(env.HTTPS_PROXY),
    noProxy: env.NO_PROXY ?? null,
  };
}

function consoleConfig(env: Parsed): ConsoleConfig {
  const token = (text: string | undefined) => (text === undefined ? null : new Secret(text));
  return {
    port: env.CONSOLE_PORT,
    host: env.CONSOLE_HOST,
    names: (env.CONSOLE_NAMES ?? '')
      .toLowerCase()
      .split(/[\s,]+/)
      .filter(Boolean),
    readToken: token(env.CONSOLE_READ_TOKEN),
    actToken: token(env.CONSOLE_ACT_TOKEN),
  };
}

function signInConfig(
  env: Parsed,
  authorityHost: string,
  scope: string,
): Pick<Config, 'signIn' | 'signInMissing'> {
  const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: clientId } = env;
  const credential = credentialOf(env);
  const missing = [
    ...(tenant ? [] : ['AZURE_TENANT_ID']),
    ...(clientId ? [] : ['AZURE_CLIENT_ID']),
    ...(credential ? [] : ['AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH']),
  ];
  if (!tenant || !clientId || !credential) return { signIn: null, signInMissing: missing };
  const signIn = {
    tenantId: tenant,
    clientId,
    credential,
    authorityHost: env.AZURE_AUTHORITY_HOST ?? authorityHost,
    scope: env.DEFENDER_SCOPE ?? scope,
  };
  return { signIn, signInMissing: [] };
}

/** Only one of them may be given. */
export const CREDENTIALS = [
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_FEDERATED_TOKEN_FILE',
] as const;

function credentialOf(env: Parsed): Credential | null {
  if (env.AZURE_CLIENT_SECRET) return { kind: 'secret', secret: new Secret(env.AZURE_CLIENT_SECRET) };
  if (env.AZURE_CLIENT_CERTIFICATE_PATH) {
    return { kind: 'certificate', path: resolve(env.AZURE_CLIENT_CERTIFICATE_PATH) };
  }
  if (env.AZURE_FEDERATED_TOKEN_FILE) {
    return { kind: 'federated', path: resolve(env.AZURE_FEDERATED_TOKEN_FILE) };
  }
  return null;
}

function readWith<T>(read: (text: string) => T | string) {
  return (text: string, context: z.RefinementCtx): T => {
    const value = read(text);
    if (typeof value !== 'string') return value;
    context.addIssue({ code: 'custom', message: value });
    return z.NEVER;
  };
}

/** A base address, its slash at the end taken off. Plain http only where it does not leave the machine. */
function baseUrl(text: string, context: z.RefinementCtx): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLoopback = url !== null && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    context.addIssue({ code: 'custom', message: 'is not an address that begins with https://' });
  } else if (url.protocol === 'http:' && !isLoopback) {
    context.addIssue({
      code: 'custom',
      message: 'plain http would send tokens readable; it is for this machine only',
    });
  } else if (url.search || url.hash || url.username || url.password) {
    context.addIssue({ code: 'custom', message: 'may hold a host and a path, nothing else' });
  }
  return text.replace(/\/+$/, '');
}
