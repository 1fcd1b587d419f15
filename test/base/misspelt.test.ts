import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { misspelt, nearest } from '../../src/base/misspelt.ts';
import { SETTINGS } from '../../src/config/config.ts';
import { KNOWN_TYPES } from '../../src/files/select/where.ts';

const MISSPELT: [name: string, meant: string][] = [
  ['AZURE_TENANT', 'AZURE_TENANT_ID'],
  ['AZURE_TENNANT_ID', 'AZURE_TENANT_ID'],
  ['AZURE_CLIENTID', 'AZURE_CLIENT_ID'],
  ['azure_client_id', 'AZURE_CLIENT_ID'],
  ['AZURE_CLIENT_SECRETS', 'AZURE_CLIENT_SECRET'],
  ['AZURE_CLIENT_CERTIFICATE_PTH', 'AZURE_CLIENT_CERTIFICATE_PATH'],
  ['AZURE_AUTHORITY_HOSTS', 'AZURE_AUTHORITY_HOST'],
  ['DEFENDER_URL', 'DEFENDER_API_URL'],
  ['DEFENDER_API_HOST', 'DEFENDER_API_URL'],
  ['DEFENDER_CLOUDS', 'DEFENDER_CLOUD'],
  ['DEFENDER_SCOPES', 'DEFENDER_SCOPE'],
  ['STANDDOWN_TENNANT', 'STANDDOWN_TENANT'],
  ['STANDDOWN_DATADIR', 'STANDDOWN_DATA_DIR'],
];

/** What Azure, its libraries and tools, and Kubernetes for a service called standdown, set. */
const OTHERS = [
  ...[
    'AUTHORITY_HOST',
    'FEDERATED_TOKEN_FILE',
    'CLIENT_CERTIFICATE_PASSWORD',
    'CLIENT_SEND_CERTIFICATE_CHAIN',
  ],
  ...['USERNAME', 'PASSWORD', 'ADDITIONALLY_ALLOWED_TENANTS', 'REGIONAL_AUTHORITY_NAME', 'TOKEN_CREDENTIALS'],
  ...['SUBSCRIPTION_ID', 'RESOURCE_GROUP', 'LOCATION', 'REGION', 'ENV_NAME', 'CREDENTIALS', 'CONFIG_DIR'],
  ...[
    'STORAGE_ACCOUNT',
    'STORAGE_KEY',
    'STORAGE_CONNECTION_STRING',
    'KEYVAULT_URL',
    'LOG_LEVEL',
    'CLI_DISABLE_CONNECTION_VERIFICATION',
  ],
  ...[
    'HTTP_USER_AGENT',
    'DEVOPS_EXT_PAT',
    'OPENAI_API_KEY',
    'OPENAI_ENDPOINT',
    'POD_IDENTITY_AUTHORITY_HOST',
    'CLOUD',
    'ENVIRONMENT',
  ],
].map((name) => `AZURE_${name}`);
const SERVICE = ['SERVICE_HOST', 'SERVICE_PORT', 'PORT', 'PORT_8089_TCP', 'PORT_8089_TCP_ADDR'].map(
  (name) => `STANDDOWN_${name}`,
);

describe('a name in the environment that looks like a setting', () => {
  for (const [name, meant] of MISSPELT) {
    it(`${name} is told, with ${meant}`, () => {
      assert.deepEqual(misspelt({ [name]: 'x', PATH: '/bin' }, SETTINGS), [{ name, meant }]);
    });
  }

  it('is passed over where it is a setting, of other programs, or what it resembles is set', () => {
    const all = [...SETTINGS, ...OTHERS, ...SERVICE, 'STANDDOWNS', 'AZURE_', `AZURE_${'X'.repeat(100_000)}`];
    for (const name of all) assert.deepEqual(misspelt({ [name]: 'x' }, SETTINGS), [], name.slice(0, 80));
    assert.deepEqual(misspelt({ AZURE_AD_TENANT_ID: 'x', AZURE_TENANT_ID: 'y' }, SETTINGS), []);
  });
});

describe('a word that is not known', () => {
  for (const [word, meant] of [
    ['Isolat', 'Isolate'],
    ['isolation', 'Isolate'],
    ['Unisolated', 'Unisolate'],
    ['Scan', 'RunAntiVirusScan'],
    ['antivirus', 'RunAntiVirusScan'],
    ['Investigation', 'CollectInvestigationPackage'],
    ['code', 'RestrictCodeExecution'],
    ['Stop', 'StopAndQuarantineFile'],
    ['Reboot', null],
    ['on', null],
    ['', null],
    ['x'.repeat(100_000), null],
  ] as const) {
    it(`${word.slice(0, 20)} may mean ${meant ?? 'none'}`, () =>
      assert.equal(nearest(word, KNOWN_TYPES), meant));
  }
});
