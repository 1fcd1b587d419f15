import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cloudsOfHost } from '../../../src/config/clouds.ts';
import { parseWindows } from '../../../src/config/limits.ts';
import type { Level } from '../../../src/ops/doctor/finding.ts';
import { judgeClock, judgeLatency } from '../../../src/ops/doctor/redis.ts';
import { examineSettings, judgeLimits } from '../../../src/ops/doctor/settings.ts';
import { judgeFailure } from '../../../src/ops/doctor/sign-in.ts';

const LIMITS: [limits: string, level: Level, says: RegExp][] = [
  ['100/1m,1500/1h', 'ok', /^$/],
  ['90/1m,1400/1h', 'ok', /^This is below/],
  ['25/1m', 'ok', /^This is below/],
  ['10/1m', 'ok', /^This is below/],
  ['100/1m', 'warning', /429/],
  ['1500/1h', 'warning', /429/],
  ['2/1s,1500/1h', 'warning', /429/],
  ['1/1s,1500/1h', 'ok', /^This is below/],
];

describe('limits against the documented ones', () => {
  for (const [limits, level, says] of LIMITS) {
    it(`${limits}: ${level}`, () => {
      const windows = parseWindows(limits);
      assert(typeof windows !== 'string');
      const judged = judgeLimits({ windows, reserves: [] });
      assert.equal(judged.level, level);
      assert.match(judged.meaning, says);
    });
  }
});

const CLOCKS: [offsetMs: number, errorMs: number, level: Level, finding: RegExp][] = [
  [5, 1, 'ok', /agree/],
  [-1_900, 1, 'ok', /agree/],
  [4_200, 1, 'warning', /4\.2 s ahead of the clock of this machine$/],
  [-90_000, 5, 'warning', /90\.0 s behind the clock of this machine$/],
  [3_000, 1_500, 'ok', /agree/],
];

describe("Redis' clock", () => {
  for (const [offsetMs, errorMs, level, finding] of CLOCKS) {
    it(`${offsetMs} ms apart, give or take ${errorMs}: ${level}`, () => {
      const judged = judgeClock({ offsetMs, errorMs });
      assert.equal(judged.level, level);
      assert.match(judged.finding, finding);
    });
  }

  it('may answer slowly, up to a point', () => {
    assert.deepEqual(
      [0.2, 50, 51].map((ms) => judgeLatency(ms).level),
      ['ok', 'ok', 'warning'],
    );
  });
});

const SECRET = {
  AZURE_TENANT_ID: 'contoso.example',
  AZURE_CLIENT_ID: 'app',
  AZURE_CLIENT_SECRET: 'hunter2-hunter2',
};
const PLACES: [what: string, env: Record<string, string>, level: Level][] = [
  ['the public cloud', {}, 'ok'],
  ['a regional host', { DEFENDER_API_URL: 'https://eu.api.security.microsoft.com' }, 'ok'],
  ['GCC', { DEFENDER_CLOUD: 'gcc' }, 'ok'],
  ['DoD', { DEFENDER_CLOUD: 'dod' }, 'ok'],
  [
    'GCC with the public API',
    { DEFENDER_CLOUD: 'gcc', DEFENDER_API_URL: 'https://api.security.microsoft.com' },
    'warning',
  ],
  [
    'public with a sign-in of the government',
    { AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us' },
    'warning',
  ],
  [
    'a scope of another cloud',
    { DEFENDER_SCOPE: 'https://api-gcc.securitycenter.microsoft.us/.default' },
    'warning',
  ],
  ['the seventh region', { DEFENDER_REGION: 'aea' }, 'ok'],
  ['an older host', { DEFENDER_API_URL: 'https://api-eu.securitycenter.microsoft.com' }, 'warning'],
  ['a strange host', { DEFENDER_API_URL: 'https://api.security.microsoft.com.example' }, 'warning'],
];

describe('addresses that belong together, or do not', () => {
  for (const [what, env, level] of PLACES) {
    it(`${what}: ${level}`, async () => {
      const { findings } = await examineSettings({ ...SECRET, ...env });
      assert.deepEqual(
        findings.map((finding) => finding.level),
        ['ok', level],
      );
    });
  }

  it('names a proxy without its password', async () => {
    const { findings } = await examineSettings({
      ...SECRET,
      HTTPS_PROXY: 'http://me:open-sesame@proxy.example:8080',
    });
    const text = JSON.stringify(findings);
    assert.match(text, /, proxy proxy\.example:8080/);
    assert.doesNotMatch(text, /open-sesame|hunter2/);
  });

  const OLDER = [
    ['DEFENDER_API_URL', 'https://api.securitycenter.windows.com'],
    ['DEFENDER_API_URL', 'https://api-uk.securitycenter.microsoft.com'],
    ['DEFENDER_SCOPE', 'https://securitycenter.onmicrosoft.com/windowsatpservice/.default'],
  ] as const;
  for (const [name, url] of OLDER) {
    it(`calls ${url} older, not a stranger's`, async () => {
      const { findings } = await examineSettings({ ...SECRET, [name]: url });
      const text = JSON.stringify(findings);
      assert.match(text, /outdated Microsoft host: /);
      assert.doesNotMatch(text, /not a Microsoft host|third party/);
    });
  }

  it('says which name in the environment is ignored, and what a proxy suffers from', async () => {
    const env = { ...SECRET, DEFENDER_URL: 'https://x', HTTPS_PROXY: 'socks5://me:open-sesame@proxy' };
    const { findings } = await examineSettings(env);
    const [, , proxy, name] = findings;
    assert.deepEqual([proxy?.level, name?.level], ['problem', 'warning']);
    assert.match(proxy?.finding ?? '', /SOCKS/);
    assert.match(name?.finding ?? '', /DEFENDER_URL .* did you mean DEFENDER_API_URL\?/);
    assert.doesNotMatch(JSON.stringify(findings), /open-sesame/);
  });

  it('knows no host by a part of its name', () => {
    const hosts = ['evil-api.securitycenter.microsoft.com', 'login.microsoftonline.com.example', ''];
    assert.deepEqual(hosts.map(cloudsOfHost), [[], [], []]);
  });
});

const FAILURES: [code: string, message: string, meaning: RegExp][] = [
  ['invalid_client AADSTS7000222', 'invalid_client: AADSTS7000222: expired', /has expired/],
  ['invalid_client AADSTS700027', 'x', /certificate/],
  ['invalid_client AADSTS700024', 'x', /not valid at this time/],
  ['access_denied AADSTS53003', 'x', /Conditional Access/],
  ['endpoints_resolution_error', 'request_timeout: TIMEOUT from https://x', /did not answer in time/],
  ['endpoints_resolution_error', 'endpoints_resolution_error: see', /tenant does not exist/],
  ['unheard_of AADSTS4711', 'x', /does not issue a token to this application/],
];

describe('sign-in', () => {
  for (const [code, message, meaning] of FAILURES) {
    it(`${code}: ${message}`, () => {
      const judged = judgeFailure({ code, message });
      assert.match(judged.meaning, meaning);
      assert.notEqual(judged.advice, '');
      assert.equal(judged.level, 'problem');
    });
  }
});
