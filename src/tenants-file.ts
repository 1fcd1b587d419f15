import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { type Config, type Environment, PROCESS_SETTINGS, readConfig, SETTINGS } from './config.ts';
import { messageOf, StanddownError } from './errors.ts';
import { remember } from './secret.ts';
import { SIGN_IN_KINDS, type SignInConfig } from './sign-in-config.ts';

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

/** What may stand in the file only as a reference. */
const SECRETS: ReadonlySet<string> = new Set(['AZURE_CLIENT_SECRET', 'NOTIFY_SECRET']);

/**
 * Reads TENANTS_FILE: a JSON list with an object for each tenant, which holds those settings that are its own, under the
 * names they have in the environment. What it does not give comes from the environment; a way to prove who one is (a
 * secret, a certificate, …) replaces the one that stands there.
 *
 * @returns the settings of each, in the file's order, each with its label; at least one.
 * @throws StanddownError CONFIG_INVALID that lists every mistake, one a line.
 */
export async function readTenants(path: string, environment: Environment): Promise<Config[]> {
  const entries = await readEntries(path);
  const mistakes: string[] = [];
  const configs: Config[] = [];
  for (const [index, entry] of entries.entries()) {
    const name = nameOf(index, entry);
    const own = await environmentOf(entry, environment, dirname(resolve(path)));
    const its = own.mistakes;
    try {
      configs.push(readConfig(own.environment));
    } catch (error) {
      if (!(error instanceof StanddownError)) throw error;
      const told = error.context['mistakes'];
      its.push(...(Array.isArray(told) ? told.map(String) : [error.message]));
    }
    mistakes.push(...its.map((mistake) => `${name}: ${mistake}`));
  }
  if (mistakes.length === 0) mistakes.push(...overlaps(configs));
  if (mistakes.length > 0) throw invalid(path, mistakes);
  return configs;
}

/**
 * The settings that a command works with: those of the environment, or of one tenant in its TENANTS_FILE.
 *
 * @param label which tenant; also without such a file. Default: STANDDOWN_TENANT, or the file's only one. Where neither
 *     says, the settings are of no tenant.
 * @throws StanddownError CONFIG_INVALID
 */
export async function chooseConfig(environment: Environment, label?: string): Promise<Config> {
  const chosen = label ?? (environment['STANDDOWN_TENANT']?.trim() || undefined);
  const config = readConfig(
    chosen === undefined ? environment : { ...environment, STANDDOWN_TENANT: chosen },
  );
  if (config.tenantsFile === null) return config;
  const tenants = await readTenants(config.tenantsFile, environment);
  if (chosen === undefined) {
    const [only, ...others] = tenants;
    return only && others.length === 0 ? only : { ...config, tenant: null };
  }
  const found = tenants.find(({ tenant }) => tenant === chosen);
  if (found) return found;
  throw new StanddownError(
    'CONFIG_INVALID',
    `TENANTS_FILE: ${config.tenantsFile} has no tenant ${JSON.stringify(chosen)}; it has ${list(tenants)}`,
  );
}

/** Some of their labels, in words. */
function list(tenants: readonly Config[]): string {
  const labels = tenants.slice(0, 10).map(({ tenant }) => tenant);
  return (
    labels.join(', ') + (tenants.length > labels.length ? ` and ${tenants.length - labels.length} more` : '')
  );
}

async function readEntries(path: string): Promise<Record<string, Setting>[]> {
  let data: unknown;
  try {
    data = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new StanddownError('CONFIG_INVALID', `TENANTS_FILE: ${path} ${describeFailure(cause)}`);
  }
  const parsed = fileSchema.safeParse(data);
  if (!parsed.success) throw invalid(path, describe(data));
  if (parsed.data.length === 0) throw invalid(path, ['names no tenant']);
  return parsed.data;
}

/** Of what is no JSON the parser's own words would quote a piece, which may be a secret in the wrong place. */
function describeFailure(cause: unknown): string {
  if (!(cause instanceof SyntaxError)) return `cannot be read: ${messageOf(cause)}`;
  const [place = ''] = /(?<=\()line \d+ column \d+|position \d+/.exec(cause.message) ?? [];
  return `is not JSON${place && ` (${place})`}`;
}

/** In words, for zod says of a choice only that none of it fits. */
function describe(data: unknown): string[] {
  if (!Array.isArray(data))
    return ['is not a list: it begins with [ and has an object { … } for each tenant'];
  return data.flatMap((entry: unknown, index) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
      return [`tenant ${index + 1}: is not an object { … } with settings`];
    return Object.entries(entry).flatMap(([setting, value]) =>
      settingSchema.safeParse(value).success
        ? []
        : [`${nameOf(index, entry)}: ${setting}: is neither a text nor {"env": "NAME"} nor {"file": "PATH"}`],
    );
  });
}

/** What the settings of one tenant are, as if it were the only one. */
async function environmentOf(
  entry: Readonly<Record<string, Setting>>,
  environment: Environment,
  dir: string,
): Promise<{ environment: Environment; mistakes: string[] }> {
  const own: Record<string, string> = {};
  const mistakes: string[] = [];
  for (const [name, setting] of Object.entries(entry)) {
    const value = await textOf(name, setting, environment, dir).catch((error: Error) => error);
    if (value instanceof Error) mistakes.push(`${name}: ${value.message}`);
    else own[name] = value;
  }
  if (!own['STANDDOWN_TENANT'] && !own['AZURE_TENANT_ID'])
    mistakes.push('STANDDOWN_TENANT: is missing, and AZURE_TENANT_ID too');
  const provesItself = SIGN_IN_KINDS.some((name) => own[name]);
  const given = Object.entries(environment).filter(
    ([name]) => name !== 'STANDDOWN_TENANT' && !(provesItself && isKind(name)),
  );
  return { environment: { ...Object.fromEntries(given), ...own }, mistakes };
}

async function textOf(
  name: string,
  setting: Setting,
  environment: Environment,
  dir: string,
): Promise<string> {
  if (PROCESS_SETTINGS.has(name)) throw new Error('is of the whole process: set it in the environment');
  if (!SETTINGS.has(name)) throw new Error('is no setting');
  if (typeof setting === 'string') {
    if (SECRETS.has(name)) {
      remember(setting);
      throw new Error('no secrets in this file: say where it is, {"env": "NAME"} or {"file": "PATH"}');
    }
    return PATHS.has(name) ? resolve(dir, setting) : setting;
  }
  if ('env' in setting) {
    const value = environment[setting.env];
    if (!value) throw new Error(`the variable ${setting.env} is not set`);
    return value;
  }
  const path = resolve(dir, setting.file);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(`cannot be read: ${messageOf(error)}`);
  });
  if (text.trim() === '') throw new Error(`${path} is empty`);
  return text.trim();
}

function applicationOf({ tenantId, clientId, credential }: SignInConfig): string {
  if (credential.kind === 'managed') return `managed ${credential.clientId ?? 'system'}`;
  return `${tenantId} ${clientId}`.toLowerCase();
}

function isKind(name: string): boolean {
  return (SIGN_IN_KINDS as readonly string[]).includes(name);
}

/** One application of one tenant has one quota: two budgets would each use all of it. */
function overlaps(configs: readonly Config[]): string[] {
  const mistakes: string[] = [];
  for (const [label, its] of Map.groupBy(configs, ({ tenant }) => tenant)) {
    if (its.length > 1) mistakes.push(`${label}: stands there ${its.length} times`);
  }
  const applications = Map.groupBy(configs, ({ signIn }) => (signIn ? applicationOf(signIn) : ''));
  for (const [application, its] of applications) {
    if (application === '' || its.length < 2) continue;
    const labels = its.map(({ tenant }) => tenant).join(', ');
    mistakes.push(`${labels}: are one application of one tenant, which has one quota; keep one of them`);
  }
  return mistakes;
}

function nameOf(index: number, entry: object): string {
  const label = Reflect.get(entry, 'STANDDOWN_TENANT') ?? Reflect.get(entry, 'AZURE_TENANT_ID');
  return typeof label === 'string' ? `tenant ${index + 1} (${label.slice(0, 64)})` : `tenant ${index + 1}`;
}

function invalid(path: string, mistakes: readonly string[]): StanddownError {
  return new StanddownError(
    'CONFIG_INVALID',
    `TENANTS_FILE: ${path} is not right:\n  ${mistakes.join('\n  ')}`,
    {
      context: { mistakes },
    },
  );
}
