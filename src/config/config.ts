import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import { parseDuration } from '../base/duration.ts';
import { StanddownError } from '../base/errors.ts';
import { foreign } from '../base/foreign.ts';
import type { LogLevel } from '../base/log.ts';
import { Secret, secretUrl } from '../base/secret.ts';
import { CLOUDS, type CloudName, REGION_NAMES, REGIONS, type RegionName } from './clouds.ts';
import { DEFAULT_RATE_LIMITS, type Limits, parseReserves, parseWindows, type Window } from './limits.ts';
import { type NotifyConfig, readNotify } from './notices.ts';
import { withScheme } from './proxy.ts';
import { baseUrl, type SignInConfig, signInConfig, signInMistakes, signInSettings } from './sign-in.ts';
import { MOST_CALL_TIMEOUT_MS } from './timings.ts';

export type { SignInConfig } from './sign-in.ts';

export interface ConsoleConfig {
  /** 0: any free one. */
  port: number;
  /** The address it listens on. */
  host: string;
  /** By which browsers may address it, besides addresses and this machine's own name; lower-case. */
  names: readonly string[];
  /** Addresses and networks of proxies in front of it. */
  proxies: readonly string[];
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
  /** Of the public cloud; null: its first host, or another cloud. An address of its own goes before it. */
  region: RegionName | null;
  /** Without a slash at the end. */
  apiUrl: string;
  /** What DEFENDER_API_URL named beyond the base: each call's path has it anyway. */
  apiPathCut?: string;
  limits: Limits;
  concurrency: number;
  callTimeoutMs: number;
  maxAttempts: number;
  defaultComment: string | null;
  resultRetentionMs: number;
  precheck: 'auto' | 'off';
  /** Null: nobody is told anything. */
  notify: NotifyConfig | null;
  /** Absolute. */
  dataDir: string;
  logLevel: LogLevel;
  /** Of the worker's health; 0: any free one; null: none. */
  healthPort: number | null;
  /** An IP address of this machine, on which it is served. */
  healthHost: string;
  console: ConsoleConfig;
  watchdogMs: number;
  /** With a scheme; whether it can be used is not looked at here. */
  httpsProxy: Secret | null;
  noProxy: string | null;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const CLOUD_NAMES = ['public', 'gcc', 'gcc-high', 'dod'] as const;

const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be 1 to 64 letters, digits, ".", "_" or "-", and begin with a letter or digit',
  );

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms === null)
    context.addIssue({ code: 'custom', message: `"${text}" is not a duration; use for example 30s or 90d` });
  return ms ?? 0;
});

/** It is all that stands between a network and the console, so it must not be guessed. */
const consoleToken = z
  .string()
  .min(16, 'must be at least 16 characters long, for example from "openssl rand -hex 32"');

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'not a whole number')
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be between ${least} and ${most}`);

const environmentSchema = z.object({
  REDIS_URL: z.string().optional(),
  TENANTS_FILE: z.string().optional(),
  STANDDOWN_TENANT: name.optional(),
  ...signInSettings,
  DEFENDER_CLOUD: z.enum(CLOUD_NAMES, `must be one of ${CLOUD_NAMES.join(', ')}`).default('public'),
  DEFENDER_REGION: z.enum(REGION_NAMES, `must be one of ${REGION_NAMES.join(', ')}`).optional(),
  DEFENDER_API_URL: z.string().transform(baseUrl).transform(cutApiPath).optional(),
  RATE_LIMITS: z.string().default(DEFAULT_RATE_LIMITS).transform(readWith(parseWindows)),
  URGENT_RESERVE: z.string().optional(),
  CONCURRENCY: whole(1, 1_000).default(10),
  CALL_TIMEOUT: duration
    .default(30_000)
    .refine((ms) => ms >= 100 && ms <= MOST_CALL_TIMEOUT_MS, 'must be between 100ms and 5m'),
  MAX_ATTEMPTS: whole(1, 100).default(8),
  DEFAULT_COMMENT: z.string().trim().max(4_000, 'must be at most 4000 characters long').optional(),
  RESULT_RETENTION: duration.default(90 * 86_400_000),
  PRECHECK: z.enum(['auto', 'off'], 'must be auto or off').default('auto'),
  NOTIFY_URL: z.string().optional(),
  NOTIFY_SECRET: z.string().optional(),
  NOTIFY_HOLD: duration.default(15 * 60_000).refine((ms) => ms >= 1_000, 'must be at least 1s'),
  NOTIFY_ALLOW_PRIVATE: z.enum(['true', 'false'], 'must be true or false').default('false'),
  STANDDOWN_DATA_DIR: z.string().default('.standdown'),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  HEALTH_PORT: whole(0, 65_535).optional(),
  HEALTH_HOST: z.union([z.ipv4(), z.ipv6()], 'must be an IP address').default('127.0.0.1'),
  CONSOLE_PORT: whole(0, 65_535).default(8_089),
  CONSOLE_HOST: z
    .string()
    .refine((text) => text === 'localhost' || isIP(text) !== 0, 'must be an IP address or localhost')
    .default('127.0.0.1'),
  CONSOLE_NAMES: z
    .string()
    .regex(/^[A-Za-z0-9.-]+(\s*,\s*[A-Za-z0-9.-]+)*$/, 'not a comma-separated list of host names')
    .optional(),
  CONSOLE_PROXY: z
    .string()
    .refine((text) => listOf(text).every(isNetwork), 'not a comma-separated list of IP addresses or networks')
    .optional(),
  CONSOLE_READ_TOKEN: consoleToken.optional(),
  CONSOLE_ACT_TOKEN: consoleToken.optional(),
  WATCHDOG_TIMEOUT: duration
    .default(120_000)
    .refine((ms) => ms >= 1_000 && ms <= 3_600_000, 'must be between 1s and 1h'),
  /** Judged by what needs it: see `proxyMistake`. */
  HTTPS_PROXY: z.string().optional(),
  NO_PROXY: z.string().optional(),
});

type Parsed = z.infer<typeof environmentSchema>;

/** The names of all settings. */
export const SETTINGS: ReadonlySet<string> = new Set(Object.keys(environmentSchema.shape));

/** Those that are the same for every tenant of a process. */
export const PROCESS_SETTINGS: ReadonlySet<string> = new Set<keyof Parsed>([
  'TENANTS_FILE',
  'IDENTITY_HEADER',
  'REDIS_URL',
  'STANDDOWN_DATA_DIR',
  'LOG_LEVEL',
  'HEALTH_PORT',
  'HEALTH_HOST',
  'CONSOLE_PORT',
  'CONSOLE_HOST',
  'CONSOLE_NAMES',
  'CONSOLE_PROXY',
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
    [...SETTINGS].flatMap((key) => {
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
    mistakes.push(
      'CONSOLE_READ_TOKEN and CONSOLE_ACT_TOKEN: must differ, or everyone who can read could also act',
    );
  const { DEFENDER_CLOUD: cloud = 'public', DEFENDER_REGION: region } = given;
  if (region && cloud !== 'public') {
    mistakes.push(
      `DEFENDER_REGION: only the public cloud has regions; remove it for DEFENDER_CLOUD=${cloud}`,
    );
  }
  mistakes.push(...signInMistakes(given));
  const notify = parsed.success ? notifyConfig(parsed.data) : null;
  if (Array.isArray(notify)) mistakes.push(...notify);
  if (
    !parsed.success ||
    typeof windows === 'string' ||
    typeof reserves === 'string' ||
    Array.isArray(notify) ||
    mistakes.length > 0
  ) {
    throw new StanddownError(
      'CONFIG_INVALID',
      `invalid settings:\n  ${mistakes.map((mistake) => foreign(mistake, 500)).join('\n  ')}`,
      {
        context: { mistakes },
      },
    );
  }
  return { ...toConfig(parsed.data, windows, reserves), notify };
}

function toConfig(
  env: Parsed,
  windows: readonly Window[],
  reserves: readonly Window[],
): Omit<Config, 'notify'> {
  const cloud = CLOUDS[env.DEFENDER_CLOUD];
  const region = env.DEFENDER_REGION ?? null;
  const dataDir = resolve(env.STANDDOWN_DATA_DIR);
  return {
    redisUrl: env.REDIS_URL === undefined ? null : secretUrl(env.REDIS_URL),
    tenantsFile: env.TENANTS_FILE === undefined ? null : resolve(env.TENANTS_FILE),
    tenant: env.STANDDOWN_TENANT ?? env.AZURE_TENANT_ID?.toLowerCase() ?? null,
    ...signInConfig(env, cloud, dataDir),
    cloud: env.DEFENDER_CLOUD,
    region,
    apiUrl: env.DEFENDER_API_URL?.base ?? (region === null ? cloud.apiUrl : REGIONS[region]),
    ...(env.DEFENDER_API_URL?.cut && { apiPathCut: env.DEFENDER_API_URL.cut }),
    limits: { windows, reserves },
    concurrency: env.CONCURRENCY,
    callTimeoutMs: env.CALL_TIMEOUT,
    maxAttempts: env.MAX_ATTEMPTS,
    defaultComment: env.DEFAULT_COMMENT ?? null,
    resultRetentionMs: env.RESULT_RETENTION,
    precheck: env.PRECHECK,
    dataDir,
    logLevel: env.LOG_LEVEL,
    healthPort: env.HEALTH_PORT ?? null,
    healthHost: env.HEALTH_HOST,
    console: consoleConfig(env),
    watchdogMs: env.WATCHDOG_TIMEOUT,
    httpsProxy: env.HTTPS_PROXY === undefined ? null : secretUrl(withScheme(env.HTTPS_PROXY)),
    noProxy: env.NO_PROXY ?? null,
  };
}

const API_PATH = /^(\w+:\/\/[^/]*.*?)((?:\/+(?:api(?:\/+v\d+(?:\.\d+)*)?|machineactions))+)$/i;

/** Microsoft's page of endpoints ends them in `/api` or `/api/v1.0`, and so they are pasted: `/api/api/…` answers 404 to all. */
function cutApiPath(url: string): { base: string; cut: string } {
  const [, base = url, cut = ''] = API_PATH.exec(url) ?? [];
  return { base, cut };
}

function notifyConfig(env: Parsed): ReturnType<typeof readNotify> {
  const { NOTIFY_URL: url, NOTIFY_SECRET: secret, NOTIFY_HOLD: holdMs } = env;
  return readNotify({ url, secret, holdMs, allowPrivate: env.NOTIFY_ALLOW_PRIVATE === 'true' });
}

function consoleConfig(env: Parsed): ConsoleConfig {
  const token = (text: string | undefined) => (text === undefined ? null : new Secret(text));
  return {
    port: env.CONSOLE_PORT,
    host: env.CONSOLE_HOST,
    names: listOf(env.CONSOLE_NAMES),
    proxies: listOf(env.CONSOLE_PROXY),
    readToken: token(env.CONSOLE_READ_TOKEN),
    actToken: token(env.CONSOLE_ACT_TOKEN),
  };
}

function listOf(text = ''): string[] {
  return text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
}

/** An address, or a network such as 10.0.0.0/8. */
function isNetwork(text: string): boolean {
  const [, address = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIP(address);
  return family !== 0 && Number(length ?? 0) <= (family === 4 ? 32 : 128);
}

function readWith<T>(read: (text: string) => T | string) {
  return (text: string, context: z.RefinementCtx): T => {
    const value = read(text);
    if (typeof value !== 'string') return value;
    context.addIssue({ code: 'custom', message: value });
    return z.NEVER;
  };
}
