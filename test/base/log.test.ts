import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { format, inspect } from 'node:util';
import { StanddownError } from '../../src/base/errors.ts';
import { guidsToBytes } from '../../src/base/guid.ts';
import { createLog } from '../../src/base/log.ts';
import { forget, remember, Secret, withoutSecrets } from '../../src/base/secret.ts';
import { readConfig } from '../../src/config/config.ts';
import { makeActions } from '../../src/simulator/index.ts';
import { campaignStatus } from '../../src/store/campaign/status.ts';
import { submitCampaign } from '../../src/store/campaign/submit.ts';
import type { RedisClient } from '../../src/store/script.ts';
import { type Process, startCli } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorProcess } from '../support/simulator.ts';
import { keepingLog } from '../support/stack.ts';
import { newTenant, type TestTenant } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

describe('a secret', () => {
  const secret = new Secret('correct horse');

  it('shows itself to nobody but the one who asks', () => {
    const shown = [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect({ secret }, { depth: null, showHidden: true, getters: true }),
      format('%s %o %O %j', secret, secret, secret, secret),
      inspect(new Error('with a cause', { cause: secret })),
      Object.entries(secret).join(),
      JSON.stringify(structuredClone({ ...secret })),
    ];
    for (const text of shown) assert.doesNotMatch(text, /correct|horse/);
    assert.equal(shown[0], '[secret]');
    assert.equal(secret.reveal(), 'correct horse');
  });

  it('is taken out of any text, also in JSON and in a URL', () => {
    const quoted = new Secret('say "hello"\\');
    const texts = [
      'it is correct horse!',
      JSON.stringify({ a: quoted.reveal() }),
      `https://host/?a=${encodeURIComponent(quoted.reveal())}&b=${encodeURIComponent(secret.reveal())}`,
    ];
    assert.deepEqual(texts.map(withoutSecrets), [
      'it is [secret]!',
      '{"a":"[secret]"}',
      'https://host/?a=[secret]&b=[secret]',
    ]);
  });

  it('that is shorter than 6 characters is left: it would take harmless words out', () => {
    remember('cance');
    assert.equal(withoutSecrets('cancelled'), 'cancelled');
  });

  it('is looked for until it is forgotten', () => {
    remember('used-up token');
    assert.equal(withoutSecrets('used-up token'), '[secret]');
    forget('used-up token');
    assert.equal(withoutSecrets('used-up token'), 'used-up token');
  });

  it('that nobody told of is known by its looks', () => {
    const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJyb2xlcyI6WyJhIl19.c2lnbmF0dXJl-_';
    assert.equal(withoutSecrets(`got ${jwt}, then`), 'got [secret], then');
    assert.equal(
      withoutSecrets('{"authorization":"Bearer opaque.token"}'),
      '{"authorization":"Bearer [secret]"}',
    );
    assert.equal(
      withoutSecrets('bearer opaque.token, Bearer%20another'),
      'bearer [secret], Bearer%20[secret]',
    );
  });

  const URLS: [name: 'REDIS_URL' | 'HTTPS_PROXY', url: string, passwords: string[], place: string][] = [
    [
      'REDIS_URL',
      'redis://me:p%40ssword-1@redis-1.example:6380/1',
      ['p%40ssword-1', 'p@ssword-1'],
      'redis-1.example',
    ],
    [
      'REDIS_URL',
      'rediss://:pass:word-2@redis-2.example',
      ['pass:word-2'],
      'rediss://redis-2.example:6379/0',
    ],
    ['REDIS_URL', 'redis://:pass/word-3@redis-3.example', ['pass/word-3'], 'redis-3.example'],
    ['REDIS_URL', 'unix://:password-4@/run/redis-4.sock', ['password-4'], '/run/redis-4.sock'],
    [
      'REDIS_URL',
      'redis-sentinel://:password-5@sentinel-5/main-5?sentinelPassword=pa%3Fssword-6&db=1',
      ['password-5', 'pa%3Fssword-6', 'pa?ssword-6'],
      'redis-sentinel://sentinel-5:26379/main-5?db=1',
    ],
    ['REDIS_URL', 'redis://redis-7.example:6379/0', [], 'redis://redis-7.example:6379/0'],
    ['REDIS_URL', 'unix:///run/redis-8.sock', [], 'unix:///run/redis-8.sock'],
    ['HTTPS_PROXY', 'http://me:password-9@proxy-9.example:8080', ['password-9'], 'proxy-9.example:8080'],
    ['HTTPS_PROXY', 'http://proxy-10.example:8080', [], 'http://proxy-10.example:8080'],
  ];
  for (const [name, url, passwords, place] of URLS) {
    it(`in ${name}=${url} is its password, not the place`, () => {
      const config = readConfig({ [name]: url });
      const held = name === 'REDIS_URL' ? config.redisUrl : config.httpsProxy;
      assert.deepEqual([held?.reveal(), String(held)], [url, '[secret]']);
      for (const password of passwords) assert.equal(withoutSecrets(`<${password}>`), '<[secret]>');
      assert.equal(withoutSecrets(place), place);
      const clean = withoutSecrets(url);
      for (const password of passwords) assert.ok(!clean.includes(password), clean);
    });
  }
});

describe('the log', () => {
  it('leaves secrets out of whatever is logged', async () => {
    const { log, lines } = await keepingLog();
    const secret = new Secret('battery "staple"');
    log.info({ secret, deep: { text: `a ${secret.reveal()} b` } }, `said ${secret.reveal()}`);
    const [line = ''] = lines;
    assert.doesNotMatch(line, /staple/);
    const { level, msg, deep, secret: shown } = JSON.parse(line);
    assert.deepEqual(
      [level, msg, deep, shown],
      ['info', 'said [secret]', { text: 'a [secret] b' }, '[secret]'],
    );
  });

  it('tells an error by name, code, message and cause, never by what else it carries', async () => {
    const { log, lines } = await keepingLog();
    const cause = Object.assign(new Error('reset'), { request: { headers: { authorization: 'opaque-1' } } });
    const error = Object.assign(new TypeError('no answer', { cause }), {
      code: 'ECONNRESET',
      config: { headers: { authorization: 'opaque-2' } },
    });
    log.warn({ err: error }, 'call');
    log.error({ err: new StanddownError('REDIS_FAILED', 'lost', { context: { at: 'host' } }) });
    log.error({ err: 'thrown text' });
    assert.doesNotMatch(lines.join(''), /opaque/);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).err),
      [
        { type: 'TypeError', code: 'ECONNRESET', message: 'no answer', cause: 'reset' },
        { type: 'StanddownError', code: 'REDIS_FAILED', message: 'lost', context: { at: 'host' } },
        { message: 'thrown text' },
      ],
    );
  });

  it('shows the stack of a bug', async () => {
    const { log, lines } = await keepingLog();
    log.error({ err: new TypeError('of undefined') });
    assert.match(JSON.parse(lines[0] ?? '').err.stack, /log\.test\.ts/);
  });

  it('keeps to its level', async () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const log = await createLog({ level: 'warn', pretty: false, destination });
    log.info('not this');
    log.warn('this');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).msg),
      ['this'],
    );
  });
});

describe('a worker with LOG_LEVEL=trace', () => {
  let server: TestRedis;
  let simulator: SimulatorProcess;
  let tenant: TestTenant;
  let worker: Process | undefined;

  before(async () => {
    server = await openTestRedis();
    simulator = await startSimulatorProcess('100000/1s', { clientSecret: SECRET });
    tenant = await newTenant(await server.connect());
  });
  after(async () => {
    worker?.kill('SIGKILL');
    await simulator.stop();
    await server.close();
  });

  /** With characters that JSON, URLs and forms write in another way. */
  const SECRET = 'q8~"Zx/+ .&=%wrong-or-right';
  const REPEATED = `Bearer ${SECRET} eyJhbGciOiJub25lIn0.eyJyb2xlcyI6W119.c2lnbmF0dXJl`;
  const WRONG = 'Zz~9"/+ .&=%another-one';
  const FORMS = [SECRET, WRONG].flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    new URLSearchParams({ a: secret }).toString().slice(2),
    Buffer.from(secret).toString('base64').replaceAll('=', ''),
  ]);

  function startWorker(env: Record<string, string> = {}): Process {
    worker = startCli(['worker'], {
      env: {
        ...simulator.settings,
        REDIS_URL: server.url,
        STANDDOWN_TENANT: tenant.label,
        URGENT_RESERVE: 'none',
        LOG_LEVEL: 'trace',
        CALL_TIMEOUT: '1s',
        ...env,
      },
    });
    return worker;
  }

  async function stop(running: Process): Promise<string> {
    running.kill('SIGTERM');
    assert.equal(await running.exited, 0);
    return running.stdout + running.stderr;
  }

  /** Every value that Redis holds of the tenant, and every key. */
  async function everything(redis: RedisClient): Promise<string> {
    const parts: string[] = [];
    for (const key of await redis.keys(`${tenant.keys.prefix}*`)) {
      parts.push(key, JSON.stringify(await readValue(redis, key)));
    }
    return parts.join('\n');
  }

  async function readValue(redis: RedisClient, key: string): Promise<unknown> {
    const type = await redis.type(key);
    switch (type) {
      case 'string':
        return redis.get(key);
      case 'hash':
        return redis.hgetall(key);
      case 'list':
        return redis.lrange(key, 0, -1);
      case 'set':
        return redis.smembers(key);
      case 'zset':
        return redis.zrange(key, '0', '-1');
      case 'stream':
        return redis.xrange(key, '-', '+');
      case 'none':
        // Its time ended between the two looks.
        return [];
      default:
        return assert.fail(`${key} is a ${type}`);
    }
  }

  function assertClean(text: string, where: string): void {
    for (const form of FORMS) assert.ok(!text.includes(form), `a client secret in ${where}`);
    assert.doesNotMatch(text, /eyJ/, `a token in ${where}`);
  }

  it('tells neither secret nor token, whatever goes wrong, and puts none into Redis', async () => {
    const { redis } = tenant;
    const { actions, ids } = makeActions({ count: 12, seed: 7 });
    await simulator.addActions(actions);
    const parts = (async function* () {
      yield guidsToBytes(ids);
    })();
    await submitCampaign(tenant, { name: 'campaign', comment: 'test', now: Date.now() }, parts);
    const status = () => campaignStatus(tenant, 'campaign');

    // The sign-in repeats what it was sent, in place of its code too.
    const repeated = { error: WRONG, error_description: `AADSTS7000215: ${WRONG}`, correlation_id: WRONG };
    await simulator.setFaults([
      { operation: 'token', fault: { kind: 'html', status: 401, body: JSON.stringify(repeated) } },
    ]);
    const refused = startWorker({ AZURE_CLIENT_SECRET: WRONG, PRECHECK: 'off', HEALTH_PORT: '0' });
    await eventually(async () => assert.equal((await status()).hold?.reason, 'sign-in'));
    const port = /"port":(\d+)/.exec(refused.stderr)?.[1];
    const ready = await (await fetch(`http://127.0.0.1:${port}/readyz`)).text();
    assert.match(ready, /"sign-in","ok":false/);
    assertClean(ready, '/readyz');
    assertClean(JSON.stringify(await status()), 'status');
    const heldLog = await stop(refused);
    assert.match(heldLog, /AADSTS7000215/, 'it was refused');
    assertClean(await everything(redis), 'Redis while signing in fails');

    const at = (index: number) => [ids[index] ?? ''];
    await simulator.setFaults([
      { operation: 'token', times: 1, fault: { kind: 'html', status: 502 } },
      {
        operation: 'cancel',
        ids: at(0),
        fault: {
          kind: 'html',
          status: 403,
          body: JSON.stringify({ error: { code: REPEATED, message: REPEATED, target: REPEATED } }),
        },
      },
      { operation: 'cancel', ids: at(1), times: 1, fault: { kind: 'status', status: 401 } },
      { operation: 'cancel', ids: at(2), times: 1, fault: { kind: 'reset', when: 'after' } },
      { operation: 'cancel', ids: at(3), times: 1, fault: { kind: 'truncated', how: 'broken-json' } },
      { operation: 'cancel', ids: at(4), times: 1, fault: { kind: 'hang' } },
      { operation: 'cancel', ids: at(5), times: 1, fault: { kind: 'html', status: 502 } },
      { operation: 'cancel', ids: at(6), times: 1, fault: { kind: 'status', status: 429, retryAfter: 1 } },
      { operation: 'list', times: 1, fault: { kind: 'reset', when: 'before' } },
    ]);
    const draining = startWorker();
    await eventually(async () => assert.equal((await status()).open, 0));
    const log = await stop(draining);
    assert.equal((await status()).outcomes.forbidden, 1);
    const tokens = (await simulator.calls()).filter((call) => call.operation === 'token');
    assert.ok(tokens.filter((call) => call.status === 200).length >= 2, 'a token was renewed');

    assertClean(heldLog + log, 'the log');
    assertClean(await everything(redis), 'Redis');
    assert.match(log, /"level":"(debug|trace)"/, 'it logs all there is');
    const started = log.split('\n').find((line) => line.includes('worker started'));
    assert.equal(JSON.parse(started ?? '').redis, server.url, 'places may be told');
  });
});
