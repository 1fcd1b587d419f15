import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, StanddownError } from '../base/errors.ts';
import { excerpt, foreign } from '../base/foreign.ts';
import { misspelt } from '../base/misspelt.ts';
import { remember } from '../base/secret.ts';
import { type Config, type Environment, PROCESS_SETTINGS, readConfig, SETTINGS } from './config.ts';
import { SIGN_IN_KINDS, type SignInConfig } from './sign-in.ts';

/** How one tenant's settings stand in the file: text, or where the text is. */
const settingSchema = z.union([
  z.string(),
  z.strictObject({ env: z.string().min(1) }),
  z.strictObject({ file: z.string().min(1) }),
]);

const fileSchema = z.array(z.record(z.string(), settingSchema));

type Setting = z.infer<typeof settingSchema>;

/** Settings that name a file: relative ones are looked for beside the tenants' file. */
const PATHS: ReadonlySet<string> = new Set(['AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_FEDERATED_TOKEN_FILE']);

/** What may stand in the file only as a reference … */
const SECRETS: ReadonlySet<string> = new Set([
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PASSWORD',
  'NOTIFY_SECRET',
]);

/** … and what may, but need not. Of anything else a mistake may quote the value. */
const PERHAPS_SECRET: ReadonlySet<string> = new Set(['NOTIFY_URL']);

/** More than a thousand tenants take. */
const MOST_BYTES = 4 * 1_024 * 1_024;
const MOST_SECRET_BYTES = 64 * 1_024;

/**
 * Reads TENANTS_FILE: a JSON list with an object for each tenant, which holds those settings that are its own, under the
 * names they have in the environment. What it does not give comes from the environment; a way to prove who one is (a
 * secret, a certificate, …) replaces the one that stands there.
 *
 * @param missing what to do where a secret is not to be had. Default: that is a mistake.
 * @returns the settings of each, in the file's order, each with its label; at least one.
 * @throws StanddownError CONFIG_INVALID that lists every mistake, one a line.
 */
export async function readTenants(
  path: string,
  environment: Environment,
  missing: Missing = 'complain',
): Promise<Config[]> {
  const entries = await readEntries(path);
  const read = await Promise.all(
    entries.map((entry, index) => readEntry(entry, index, environment, dirname(resolve(path)), missing)),
  );
  const mistakes = [...read.flatMap((its) => its.mistakes), ...repeated(entries)];
  const configs = read.flatMap(({ config }) => config ?? []);
  if (mistakes.length === 0) mistakes.push(...overlaps(configs));
  if (mistakes.length > 0) throw invalid(path, mistakes);
  return configs;
}

/**
 * The settings that a command works with: those of the environment, or of one tenant in its TENANTS_FILE. Which:
 * STANDDOWN_TENANT says, or it is the file's only one. Otherwise they are of no tenant.
 *
 * Of the others nothing is looked at but their labels, and a secret that is not to be had is only missing: in an emergency
 * no customer's mistake may stand in the way of another's `abort`.
 *
 * @throws StanddownError CONFIG_INVALID
 */
export async function chooseConfig(environment: Environment): Promise<Config> {
  const config = readConfig(environment);
  const path = config.tenantsFile;
  if (path === null) return config;
  const entries = await readEntries(path);
  const twice = repeated(entries);
  if (twice.length > 0) throw invalid(path, twice);
  const labels = entries.map(labelOf);
  const chosen = environment['STANDDOWN_TENANT']?.trim() || (labels.length === 1 ? labels[0] : undefined);
  if (chosen === undefined) return { ...config, tenant: null };
  const index = labels.indexOf(chosen);
  const entry = entries[index];
  if (!entry) {
    const known = `${labels
      .slice(0, 10)
      .map((label) => excerpt(label, 64))
      .join(', ')}${labels.length > 10 ? ` and ${labels.length - 10} more` : ''}`;
    throw new StanddownError(
      'CONFIG_INVALID',
      `TENANTS_FILE: unknown tenant ${JSON.stringify(chosen)} (${path} has ${known})`,
    );
  }
  const read = await readEntry(entry, index, environment, dirname(resolve(path)), 'leave out');
  if (!read.config) throw invalid(path, read.mistakes);
  return read.config;
}

/** What to do where a secret is not to be had. */
type Missing = 'complain' | 'leave out';

async function readEntry(
  entry: Readonly<Record<string, Setting>>,
  index: number,
  environment: Environment,
  dir: string,
  missing: Missing = 'complain',
): Promise<{ config: Config | null; mistakes: string[] }> {
  const name = nameOf(index, entry);
  const own = await environmentOf(entry, environment, dir, missing);
  const mistakes = own.mistakes;
  let config: Config | null = null;
  try {
    config = readConfig(own.environment);
  } catch (error) {
    if (!(error instanceof StanddownError)) throw error;
    const told = error.context['mistakes'];
    mistakes.push(...(Array.isArray(told) ? told.map(String) : [error.message]));
  }
  // What signs in says what it misses: better where that should be than how it is called.
  if (config?.signIn === null && own.leftOut.length > 0) config = { ...config, signInMissing: own.leftOut };
  return {
    config: mistakes.length === 0 ? config : null,
    mistakes: mistakes.map((mistake) => `${name}: ${mistake}`),
  };
}

async function readEntries(path: string): Promise<Record<string, Setting>[]> {
  let data: unknown;
  try {
    data = JSON.parse(withoutMark(await readSmall(path, MOST_BYTES)));
  } catch (cause) {
    throw new StanddownError('CONFIG_INVALID', `TENANTS_FILE: ${path} ${describeFailure(cause)}`);
  }
  const parsed = fileSchema.safeParse(data);
  if (!parsed.success) throw invalid(path, describe(data));
  if (parsed.data.length === 0) throw invalid(path, ['the file lists no tenants']);
  return parsed.data;
}

/** Editors on Windows put a byte-order mark first. */
function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** What is no plain file may never come to an end: reading it would not, either. */
async function readSmall(path: string, mostBytes: number): Promise<string> {
  const found = await stat(path);
  if (!found.isFile()) throw new Error('not a regular file');
  if (found.size > mostBytes) throw new Error(`larger than ${mostBytes / 1_024} KiB`);
  return readFile(path, 'utf8');
}

/** Of what is no JSON the parser's own words would quote a piece, which may be a secret in the wrong place. */
function describeFailure(cause: unknown): string {
  if (!(cause instanceof SyntaxError)) return `cannot be read: ${messageOf(cause)}`;
  const [place = ''] = /(?<=\()line \d+ column \d+|position \d+/.exec(cause.message) ?? [];
  return `is not valid JSON${place && ` (${place})`}`;
}

/** In words, for zod says of a choice only that none of it fits. */
function describe(data: unknown): string[] {
  if (!Array.isArray(data))
    return ['the file must be a JSON list with one object for each tenant: [{ … }, { … }]'];
  return data.flatMap((entry: unknown, index) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
      return [`tenant ${index + 1}: not an object with settings`];
    return Object.entries(entry).flatMap(([setting, value]) =>
      settingSchema.safeParse(value).success
        ? []
        : [`${nameOf(index, entry)}: ${setting}: must be a string, {"env": "NAME"} or {"file": "PATH"}`],
    );
  });
}

/** What the settings of one tenant are, as if it were the only one. */
async function environmentOf(
  entry: Readonly<Record<string, Setting>>,
  environment: Environment,
  dir: string,
  missing: Missing,
): Promise<{ environment: Environment; mistakes: string[]; leftOut: string[] }> {
  const own: Record<string, string> = {};
  const mistakes: string[] = [];
  const leftOut: string[] = [];
  for (const [name, setting] of Object.entries(entry)) {
    const value = await textOf(name, setting, environment, dir).catch((error: Error) => error);
    if (!(value instanceof Error)) own[name] = value;
    else {
      const isLeftOut = missing === 'leave out' && value instanceof NotToBeHad;
      (isLeftOut ? leftOut : mistakes).push(`${name}: ${value.message}`);
      // Notices are the workers' affair, and incomplete settings of theirs would be a mistake.
      if (isLeftOut && name.startsWith('NOTIFY_')) Object.assign(own, { NOTIFY_URL: '', NOTIFY_SECRET: '' });
    }
  }
  if (!own['STANDDOWN_TENANT'] && !own['AZURE_TENANT_ID'])
    mistakes.push('STANDDOWN_TENANT or AZURE_TENANT_ID is required');
  // Also where that is not to be had: nobody signs in as another tenant's application instead.
  const provesItself = SIGN_IN_KINDS.some((name) => (entry[name] ?? '') !== '');
  const given = Object.entries(environment).filter(
    ([name]) => name !== 'STANDDOWN_TENANT' && !(provesItself && isKind(name)),
  );
  return { environment: { ...Object.fromEntries(given), ...own }, mistakes, leftOut };
}

async function textOf(
  name: string,
  setting: Setting,
  environment: Environment,
  dir: string,
): Promise<string> {
  if (PROCESS_SETTINGS.has(name)) throw new Error('applies to the whole process; set it in the environment');
  const [{ meant } = { meant: '' }] = misspelt({ [name]: 'x' }, SETTINGS);
  if (!SETTINGS.has(name)) throw new Error(`unknown setting${meant ? `; did you mean ${meant}?` : ''}`);
  if (typeof setting === 'string') {
    if (SECRETS.has(name)) {
      remember(setting);
      throw new Error(
        'this file must not contain secrets; refer to it by {"env": "NAME"} or {"file": "PATH"}',
      );
    }
    return PATHS.has(name) && setting.trim() !== '' ? resolve(dir, setting) : setting;
  }
  if (!SECRETS.has(name) && !PERHAPS_SECRET.has(name))
    throw new Error('not a secret; write its value as a string');
  const secret =
    'env' in setting ? fromVariable(setting.env, environment) : await fromFile(resolve(dir, setting.file));
  remember(secret);
  return secret;
}

/** The secret that is referred to is not there. */
class NotToBeHad extends Error {}

function fromVariable(name: string, environment: Environment): string {
  // Somebody may have put the secret where its name belongs.
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new Error('the value of "env" is not a variable name');
  const value = environment[name];
  if (!value) throw new NotToBeHad(`environment variable ${name} is not set`);
  return value;
}

async function fromFile(path: string): Promise<string> {
  const text = await readSmall(path, MOST_SECRET_BYTES).catch((error: unknown) => {
    throw new NotToBeHad(`${path} cannot be read: ${withoutPath(error)}`);
  });
  if (text.trim() === '') throw new NotToBeHad(`${path} is empty`);
  return text.trim();
}

/** Node ends its messages with the call and the path, which is said before. */
function withoutPath(error: unknown): string {
  return messageOf(error).replace(/, \w+( '.*')?$/, '');
}

/** What has one quota, as a text. */
export function applicationOf({ tenantId, clientId, credential }: SignInConfig): string {
  if (credential.kind === 'managed') return `managed ${credential.clientId ?? 'system'}`;
  return `${tenantId} ${clientId}`.toLowerCase();
}

function isKind(name: string): boolean {
  return (SIGN_IN_KINDS as readonly string[]).includes(name);
}

function labelOf(entry: Readonly<Record<string, Setting>>): string {
  const text = (setting: Setting | undefined) => (typeof setting === 'string' ? setting.trim() : '');
  return text(entry['STANDDOWN_TENANT']) || text(entry['AZURE_TENANT_ID']).toLowerCase();
}

function repeated(entries: readonly Readonly<Record<string, Setting>>[]): string[] {
  return [...Map.groupBy(entries.map(labelOf), (label) => label)]
    .filter(([label, its]) => label !== '' && its.length > 1)
    .map(([label, its]) => `${label}: listed ${its.length} times`);
}

/** One application of one tenant has one quota: two budgets would each use all of it. */
function overlaps(configs: readonly Config[]): string[] {
  const mistakes: string[] = [];
  const applications = Map.groupBy(configs, ({ signIn }) => (signIn ? applicationOf(signIn) : ''));
  for (const [application, its] of applications) {
    if (application === '' || its.length < 2) continue;
    const labels = its.map(({ tenant }) => tenant).join(', ');
    mistakes.push(
      `${labels}: the same application in the same Entra tenant, which has one quota; keep only one of them`,
    );
  }
  return mistakes;
}

function nameOf(index: number, entry: object): string {
  const label = Reflect.get(entry, 'STANDDOWN_TENANT') ?? Reflect.get(entry, 'AZURE_TENANT_ID');
  return typeof label === 'string' ? `tenant ${index + 1} (${excerpt(label, 64)})` : `tenant ${index + 1}`;
}

function invalid(path: string, mistakes: readonly string[]): StanddownError {
  return new StanddownError(
    'CONFIG_INVALID',
    `TENANTS_FILE: invalid settings in ${path}:\n  ${mistakes.map((mistake) => foreign(mistake, 500)).join('\n  ')}`,
    {
      context: { mistakes },
    },
  );
}
