import { describeDuration } from '../../base/duration.ts';
import { StanddownError } from '../../base/errors.ts';
import { describeMisspelt, misspelt } from '../../base/misspelt.ts';
import { CLOUDS, cloudsOfHost, cloudsOfScope, isOlderHost, regionOfHost } from '../../config/clouds.ts';
import { type Config, type Environment, SETTINGS } from '../../config/config.ts';
import { formatWindows, type Limits, type Window } from '../../config/limits.ts';
import { proxyMistake } from '../../config/proxy.ts';
import { describeSignIn } from '../../config/sign-in.ts';
import { chooseConfig } from '../../config/tenants-file.ts';
import { type Finding, findingsOf } from './finding.ts';

const settings = findingsOf('settings');
const limits = findingsOf('limits');

/** Reads the settings, of the tenant that is meant; null, with every mistake, where they are not right. */
export async function examineSettings(
  env: Environment,
): Promise<{ config: Config | null; findings: Finding[] }> {
  try {
    const config = await chooseConfig(env);
    return {
      config,
      findings: [judgeTenant(config), ...judgePlaces(config), ...judgeProxy(config), ...judgeNames(env)],
    };
  } catch (error) {
    if (!(error instanceof StanddownError) || error.code !== 'CONFIG_INVALID') throw error;
    const mistakes = Array.isArray(error.context['mistakes']) ? error.context['mistakes'] : [error.message];
    const findings = mistakes.map((mistake) =>
      settings.problem({
        finding: String(mistake),
        meaning: 'No command runs with invalid settings, and doctor cannot check the rest.',
        advice:
          'Correct it in the environment, in the file given by --env-file or in TENANTS_FILE. .env.example explains each setting.',
      }),
    );
    return { config: null, findings };
  }
}

function judgeTenant({ tenant, tenantsFile, signIn, signInMissing }: Config): Finding {
  if (tenant === null && tenantsFile !== null) {
    return settings.problem({
      finding: `${tenantsFile} is valid and lists more than one tenant`,
      meaning: 'A worker serves all of them; doctor checks one at a time.',
      advice: 'Choose one with --tenant LABEL.',
    });
  }
  if (tenant === null) {
    return settings.problem({
      finding: 'No tenant selected',
      meaning: 'Every campaign and every rate limit is of one tenant.',
      advice: 'Set AZURE_TENANT_ID or STANDDOWN_TENANT (a label).',
    });
  }
  if (signIn === null) {
    return settings.problem({
      finding: `Tenant ${tenant}: cannot sign in; missing: ${signInMissing.join(', ')}`,
      meaning: 'Commands that use only Redis work. A worker cannot start.',
      advice: 'Set the missing settings. "Connect a tenant" in the README explains where to find the values.',
    });
  }
  return settings.ok({ finding: `Tenant ${tenant}: ${describeSignIn(signIn)}` });
}

/** Which addresses are in use, and whether they belong together. */
function judgePlaces(config: Config): Finding[] {
  return [judgeAddresses(config), ...judgeRegion(config), ...judgePath(config)];
}

function judgePath({ apiPathCut }: Config): Finding[] {
  if (!apiPathCut) return [];
  const finding = `Ignoring ${apiPathCut} at the end of DEFENDER_API_URL: it is the base address, and each call adds its own path`;
  return [settings.ok({ finding })];
}

function judgeAddresses(config: Config): Finding {
  const { cloud, apiUrl, signIn } = config;
  const finding = describePlaces(config);
  const hosts = [apiUrl, signIn?.authorityHost, signIn?.scope].flatMap((url) => (url ? [hostOf(url)] : []));
  const known = hosts.map(cloudsOfHost);
  const strange = hosts.filter((_, index) => known[index]?.length === 0);
  if (strange.length > 0) {
    return settings.warning({
      finding: `${finding}; not a Microsoft host: ${[...new Set(strange)].join(', ')}`,
      meaning: 'This is fine for a simulator. Otherwise tokens are sent to a third party.',
      advice: 'To use the Microsoft hosts, remove DEFENDER_API_URL, AZURE_AUTHORITY_HOST and DEFENDER_SCOPE.',
    });
  }
  if (!known.every((clouds) => clouds.includes(cloud))) {
    return settings.warning({
      finding: `${finding}; some of these addresses belong to another cloud`,
      meaning: 'The API of one cloud rejects the tokens of another (401).',
      advice: 'Set only DEFENDER_CLOUD; set a single address only where its default is wrong.',
    });
  }
  const older = hosts.filter(isOlderHost);
  if (older.length > 0) {
    return settings.warning({
      finding: `${finding}; outdated Microsoft host: ${[...new Set(older)].join(', ')}`,
      meaning: 'It may still work, but Microsoft documents a newer one.',
      advice: 'Remove DEFENDER_API_URL and DEFENDER_SCOPE. To choose a region, set DEFENDER_REGION.',
    });
  }
  return signIn ? judgeScope(config, signIn.scope, finding) : settings.ok({ finding });
}

function judgeProxy({ httpsProxy }: Config): Finding[] {
  const finding = proxyMistake(httpsProxy);
  if (finding === null) return [];
  return [
    settings.problem({
      finding,
      meaning: 'Neither the sign-in service nor the API can be reached. Commands that use only Redis work.',
      advice: 'Correct HTTPS_PROXY, or remove it.',
    }),
  ];
}

/** What is ignored, because it is spelt another way than a setting. */
function judgeNames(env: Environment): Finding[] {
  return misspelt(env, SETTINGS).map((one) =>
    settings.warning({
      finding: describeMisspelt(one),
      advice: `Rename it to ${one.meant}, or remove it.`,
    }),
  );
}

/** A scope of the right cloud. */
function judgeScope({ cloud }: Config, scope: string, finding: string): Finding {
  if (!cloudsOfScope(hostOf(scope)).includes(cloud)) {
    return settings.warning({
      finding: `${finding}; this is not the known scope of this API`,
      meaning: 'The API may reject these tokens (401).',
      advice: 'Remove DEFENDER_SCOPE.',
    });
  }
  const isOpen = CLOUDS[cloud].isScopeOpen && scope === CLOUDS[cloud].scope;
  const meaning =
    'Whether this is the right scope for this cloud is not confirmed. To use another one, set DEFENDER_SCOPE.';
  return settings.ok({ finding, ...(isOpen && { meaning }) });
}

function describePlaces({ cloud, apiUrl, signIn, httpsProxy }: Config): string {
  const region = cloud === 'public' ? `, region ${regionOfHost(hostOf(apiUrl)) ?? 'none'}` : '';
  const proxy =
    httpsProxy && proxyMistake(httpsProxy) === null ? `, proxy ${new URL(httpsProxy.reveal()).host}` : '';
  const at = signIn?.authorityHost ? `, sign-in ${signIn.authorityHost}` : '';
  const places = signIn ? `${at}, scope ${signIn.scope}` : '';
  return `Cloud ${cloud}${region}: API ${apiUrl}${places}${proxy}`;
}

/** An address goes before a region; with both set, the other may have been meant. */
function judgeRegion({ region, apiUrl }: Config): Finding[] {
  if (region === null || region === regionOfHost(hostOf(apiUrl))) return [];
  return [
    settings.warning({
      finding: `DEFENDER_REGION=${region} is ignored, because DEFENDER_API_URL is set`,
      advice: 'Remove one of them.',
    }),
  ];
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : url;
}

/** What Microsoft documents for each of cancel, get and list. */
const DOCUMENTED: readonly Window[] = [
  { max: 100, lengthMs: 60_000 },
  { max: 1_500, lengthMs: 3_600_000 },
];

/** Whether the limits let more calls go than Microsoft documents. */
export function judgeLimits({ windows, reserves }: Limits): Finding {
  const kept = reserves.length > 0 ? `, ${formatWindows(reserves)} reserved for urgent requests` : '';
  const finding = `At most ${formatWindows(windows)} calls of each kind${kept}`;
  const bounds = DOCUMENTED.map((documented) => ({
    documented,
    most: mostWithin(windows, documented.lengthMs),
  }));
  const above = bounds.filter(({ documented, most }) => most > documented.max);
  if (above.length > 0) {
    const [first] = above;
    const length = describeDuration(first?.documented.lengthMs ?? 0);
    return limits.warning({
      finding: `${finding}; this allows ${first?.most} calls in ${length}, but Microsoft documents a limit of ${first?.documented.max}`,
      meaning:
        'The API refuses the calls above its limit (429). They are retried, but campaigns do not get faster.',
      advice: 'Remove RATE_LIMITS, unless Microsoft has granted you a higher limit.',
    });
  }
  const isTighter = bounds.some(({ documented, most }) => most < documented.max);
  const meaning = isTighter ? 'This is below the documented limit, so campaigns take longer.' : '';
  return limits.ok({ finding, meaning });
}

/** No more calls than this fit into so many ms. */
function mostWithin(windows: readonly Window[], lengthMs: number): number {
  return Math.min(...windows.map((window) => window.max * Math.ceil(lengthMs / window.lengthMs)));
}
