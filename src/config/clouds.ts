/** Where one of Microsoft's clouds signs in, where its API is, and for which scope tokens are asked. */
export interface Cloud {
  /** Base of the authority; the tenant id is appended. */
  authorityHost: string;
  /** Base of the API, without a slash at the end. */
  apiUrl: string;
  scope: string;
  /** Nobody has confirmed the scope. Default false. */
  isScopeOpen?: true;
}

export type CloudName = 'public' | 'gcc' | 'gcc-high' | 'dod';

/** US government's high clouds share hosts. */
const GOVERNMENT: Cloud = {
  authorityHost: 'https://login.microsoftonline.us',
  apiUrl: 'https://api-gov.securitycenter.microsoft.us',
  scope: 'https://api-gov.securitycenter.microsoft.us/.default',
  isScopeOpen: true,
};

export const CLOUDS: Readonly<Record<CloudName, Cloud>> = {
  public: {
    authorityHost: 'https://login.microsoftonline.com',
    apiUrl: 'https://api.securitycenter.microsoft.com',
    scope: 'https://api.securitycenter.microsoft.com/.default',
  },
  gcc: {
    authorityHost: 'https://login.microsoftonline.com',
    apiUrl: 'https://api-gcc.securitycenter.microsoft.us',
    scope: 'https://api-gcc.securitycenter.microsoft.us/.default',
  },
  'gcc-high': GOVERNMENT,
  dod: GOVERNMENT,
};

/**
 * The public cloud's other hosts by region. `global`: the one without a region in its name. Sign-in, scope and quota are the
 * same at all of them.
 */
export const REGIONS = {
  global: 'https://api.security.microsoft.com',
  us: 'https://us.api.security.microsoft.com',
  eu: 'https://eu.api.security.microsoft.com',
  uk: 'https://uk.api.security.microsoft.com',
  au: 'https://au.api.security.microsoft.com',
  swa: 'https://swa.api.security.microsoft.com',
  ina: 'https://ina.api.security.microsoft.com',
  aea: 'https://aea.api.security.microsoft.com',
} as const;

export type RegionName = keyof typeof REGIONS;

export const REGION_NAMES = Object.keys(REGIONS) as RegionName[];

/** Microsoft's hosts by cloud. The first two clouds sign in at the same one. */
const HOSTS: readonly [host: RegExp, clouds: readonly CloudName[]][] = [
  [/^login\.microsoftonline\.com$/, ['public', 'gcc']],
  [/^login\.microsoftonline\.us$/, ['gcc-high', 'dod']],
  [/^api\.securitycenter\.microsoft\.com$/, ['public']],
  [/^([a-z]+\.)?api\.security\.microsoft\.com$/, ['public']],
  [/^api-gcc\.securitycenter\.microsoft\.us$/, ['gcc']],
  [/^api-gov\.securitycenter\.microsoft\.us$/, ['gcc-high', 'dod']],
];

/** Names that the public cloud's API and its scope had before, and that stand in people's settings still. */
const OLDER = [
  /^api\.securitycenter\.windows\.com$/,
  /^api-(us|eu|uk|au)\.securitycenter\.microsoft\.com$/,
  /^securitycenter\.onmicrosoft\.com$/,
];

/** Whether it is an older name of one of Microsoft's hosts. */
export function isOlderHost(host: string): boolean {
  return OLDER.some((pattern) => pattern.test(host.toLowerCase()));
}

/** The clouds that a host belongs to; none: it is not known as Microsoft's. */
export function cloudsOfHost(host: string): readonly CloudName[] {
  if (isOlderHost(host)) return ['public'];
  return HOSTS.find(([pattern]) => pattern.test(host.toLowerCase()))?.[1] ?? [];
}

/** The region that a host of the public cloud is for; null: none, or none that is known. */
export function regionOfHost(host: string): RegionName | null {
  return REGION_NAMES.find((name) => new URL(REGIONS[name]).hostname === host.toLowerCase()) ?? null;
}

/** The clouds whose API takes tokens for this scope, by its host, as far as it is known. */
export function cloudsOfScope(host: string): readonly CloudName[] {
  return cloudsOfHost(host).filter((name) => new URL(CLOUDS[name].scope).hostname === host.toLowerCase());
}
