import { formatWindows, type Limits, type Window } from '../budget/windows.ts';
import { type Config, type Environment, SETTINGS } from '../config.ts';
import { CLOUDS, cloudsOfHost, cloudsOfScope, isOlderHost, regionOfHost } from '../defender/clouds.ts';
import { proxyMistake } from '../defender/proxy.ts';
import { describeDuration } from '../duration.ts';
import { StanddownError } from '../errors.ts';
import { describeMisspelt, misspelt } from '../misspelt.ts';
import { describeSignIn } from '../sign-in-config.ts';
import { chooseConfig } from '../tenants-file.ts';
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
        meaning: 'No command takes such settings, and nothing else can be looked at before.',
        advice:
          'Correct it in the environment, in the file given by --env-file or in TENANTS_FILE; .env.example explains each.',
      }),
    );
    return { config: null, findings };
  }
}

function judgeTenant({ tenant, tenantsFile, signIn, signInMissing }: Config): Finding {
  if (tenant === null && tenantsFile !== null) {
    return settings.problem({
      finding: `${tenantsFile} is in order, and names more than one tenant`,
      meaning: 'A worker works for all of them; what follows can be looked at for one at a time.',
      advice: 'Say --tenant LABEL.',
    });
  }
  if (tenant === null) {
    return settings.problem({
      finding: 'nothing says which tenant',
      meaning: 'Every campaign and every limit belongs to a tenant.',
      advice: 'Set AZURE_TENANT_ID, or STANDDOWN_TENANT (a label).',
    });
  }
  if (signIn === null) {
    return settings.problem({
      finding: `tenant ${tenant}; to sign in, there is missing: ${signInMissing.join(', ')}`,
      meaning: 'Commands that only look at Redis work; a worker cannot start.',
      advice: 'Set what is missing: "From zero to a drained campaign" in the README says where it is found.',
    });
  }
  return settings.ok({ finding: `tenant ${tenant}: ${describeSignIn(signIn)}` });
}

/** Which addresses are in use, and whether they belong together. */
function judgePlaces(config: Config): Finding[] {
  return [judgeAddresses(config), ...judgeRegion(config), ...judgePath(config)];
}

function judgePath({ apiPathCut }: Config): Finding[] {
  if (!apiPathCut) return [];
  const finding = `DEFENDER_API_URL ends in ${apiPathCut}, which is left out: it names the base of the API`;
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
      finding: `${finding}; ${[...new Set(strange)].join(', ')} is not Microsoft's`,
      meaning: 'That is right for a simulator; with anything else tokens would go to strangers.',
      advice: 'Take DEFENDER_API_URL, AZURE_AUTHORITY_HOST and DEFENDER_SCOPE out to use the real ones.',
    });
  }
  if (!known.every((clouds) => clouds.includes(cloud))) {
    return settings.warning({
      finding: `${finding}; these do not belong together`,
      meaning: 'A token of one cloud is refused (401) by the API of another.',
      advice: 'Set DEFENDER_CLOUD alone, and the single addresses only where it is wrong.',
    });
  }
  const older = hosts.filter(isOlderHost);
  if (older.length > 0) {
    return settings.warning({
      finding: `${finding}; ${[...new Set(older)].join(', ')}: an older name of Microsoft's`,
      meaning: 'It may still work: Microsoft names another one now.',
      advice: 'Take DEFENDER_API_URL and DEFENDER_SCOPE out; DEFENDER_REGION names a region.',
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
      meaning:
        'Nothing can be asked of the sign-in service or the API. Commands that only look at Redis work.',
      advice: 'Correct HTTPS_PROXY, or take it out.',
    }),
  ];
}

/** What is ignored, because it is spelt another way than a setting. */
function judgeNames(env: Environment): Finding[] {
  return misspelt(env, SETTINGS).map((one) =>
    settings.warning({
      finding: describeMisspelt(one),
      advice: `Rename it to ${one.meant}, or take it out.`,
    }),
  );
}

/** A scope of the right cloud. */
function judgeScope({ cloud }: Config, scope: string, finding: string): Finding {
  if (!cloudsOfScope(hostOf(scope)).includes(cloud)) {
    return settings.warning({
      finding: `${finding}; that scope is not the one known for this API`,
      meaning: 'The API may refuse such tokens (401).',
      advice: 'Take DEFENDER_SCOPE out.',
    });
  }
  const isOpen = CLOUDS[cloud].isScopeOpen && scope === CLOUDS[cloud].scope;
  const meaning =
    'That this is the right scope for this cloud is not confirmed; DEFENDER_SCOPE sets another.';
  return settings.ok({ finding, ...(isOpen && { meaning }) });
}

function describePlaces({ cloud, apiUrl, signIn, httpsProxy }: Config): string {
  const region = cloud === 'public' ? `, region ${regionOfHost(hostOf(apiUrl)) ?? 'none'}` : '';
  const proxy =
    httpsProxy && proxyMistake(httpsProxy) === null
      ? `, through the proxy ${new URL(httpsProxy.reveal()).host}`
      : '';
  const at = signIn?.authorityHost ? `, sign-in ${signIn.authorityHost}` : '';
  const places = signIn ? `${at}, scope ${signIn.scope}` : '';
  return `cloud ${cloud}${region}: API ${apiUrl}${places}${proxy}`;
}

/** An address of its own goes before a region: whoever gives both may think otherwise. */
function judgeRegion({ region, apiUrl }: Config): Finding[] {
  if (region === null || region === regionOfHost(hostOf(apiUrl))) return [];
  return [
    settings.warning({
      finding: `DEFENDER_REGION=${region} is not in use: DEFENDER_API_URL names the host`,
      advice: 'Take one of them out.',
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
  const kept = reserves.length > 0 ? `, ${formatWindows(reserves)} kept for urgent requests` : '';
  const finding = `at most ${formatWindows(windows)} calls of each kind${kept}`;
  const bounds = DOCUMENTED.map((documented) => ({
    documented,
    most: mostWithin(windows, documented.lengthMs),
  }));
  const above = bounds.filter(({ documented, most }) => most > documented.max);
  if (above.length > 0) {
    const [first] = above;
    const length = describeDuration(first?.documented.lengthMs ?? 0);
    return limits.warning({
      finding: `${finding}; that lets ${first?.most} go in ${length}, and ${first?.documented.max} are documented`,
      meaning:
        'The API refuses what is too much (429). Nothing fails for it, but nothing gets faster, either.',
      advice: 'Take RATE_LIMITS out, unless Microsoft has granted more.',
    });
  }
  const isTighter = bounds.some(({ documented, most }) => most < documented.max);
  const meaning = isTighter ? 'That is less than the API allows: campaigns take longer.' : '';
  return limits.ok({ finding, meaning });
}

/** No more calls than this fit into so many ms. */
function mostWithin(windows: readonly Window[], lengthMs: number): number {
  return Math.min(...windows.map((window) => window.max * Math.ceil(lengthMs / window.lengthMs)));
}
