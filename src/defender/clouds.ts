/** Where one of Microsoft's clouds signs in, where its API is, and for which scope tokens are asked. */
export interface Cloud {
  /** Base of the authority; the tenant id is appended. */
  authorityHost: string;
  /** Base of the API, without a slash at the end. */
  apiUrl: string;
  scope: string;
}

export type CloudName = 'public' | 'gcc' | 'gcc-high' | 'dod';

/** US government's high clouds share hosts. Their scope is not confirmed by Microsoft's documentation: overridable. */
const GOVERNMENT: Cloud = {
  authorityHost: 'https://login.microsoftonline.us',
  apiUrl: 'https://api-gov.securitycenter.microsoft.us',
  scope: 'https://api-gov.securitycenter.microsoft.us/.default',
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

/** Microsoft's hosts by cloud. The first two clouds sign in at the same one. */
const HOSTS: readonly [host: RegExp, clouds: readonly CloudName[]][] = [
  [/^login\.microsoftonline\.com$/, ['public', 'gcc']],
  [/^login\.microsoftonline\.us$/, ['gcc-high', 'dod']],
  [/^api\.securitycenter\.microsoft\.com$/, ['public']],
  [/^([a-z]+\.)?api\.security\.microsoft\.com$/, ['public']],
  [/^api-gcc\.securitycenter\.microsoft\.us$/, ['gcc']],
  [/^api-gov\.securitycenter\.microsoft\.us$/, ['gcc-high', 'dod']],
];

/** The clouds that a host belongs to; none: it is not known as Microsoft's. */
export function cloudsOfHost(host: string): readonly CloudName[] {
  return HOSTS.find(([pattern]) => pattern.test(host.toLowerCase()))?.[1] ?? [];
}
