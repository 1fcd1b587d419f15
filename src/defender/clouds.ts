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
