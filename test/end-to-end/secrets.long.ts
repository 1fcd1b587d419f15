import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { generate } from 'selfsigned';
import { atEnd } from '../store/redis/support/machine.ts';
import { documentedRules, ROLES } from '../support/acl.ts';
import {
  dumpRedis,
  findLeaks,
  type Haystack,
  type Needle,
  needlesOf,
  needlesOfKey,
  needlesOfToken,
} from '../support/leaks.ts';
import type { Process, Ran } from '../support/processes.ts';
import { type SignInTap, startSignInTap } from '../support/sign-in-tap.ts';
import { eventually } from '../support/wait.ts';
import { type Estate, openEstate, succeeded } from './acl-support.ts';

/** With characters that JSON and URLs write in another way. */
const SECRET = 'c1ient~Secret/with+"quotes"&more%';
const WRONG = 'wr0ng~Secret/with+"quotes"&more%';

test('no secret is in Redis, in what is said or in a file, whatever goes wrong', async (t) => {
  const stage = await openStage(t);
  await play(stage);
  const needles = needlesFor(stage);
  const haystacks = await gather(stage);
  t.diagnostic(`${needles.length} forms of secrets were looked for in ${haystacks.length} places`);
  assert.deepEqual(findLeaks(haystacks, needles), []);
  await assertScanFinds(stage, needles);
});

interface Stage {
  estate: Estate;
  tap: SignInTap;
  /** The application's private key, and a file of it with its certificate. */
  key: string;
  pem: string;
  said: Haystack[];
}

async function openStage(t: TestContext): Promise<Stage> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'application' }], {
    keySize: 2048,
    algorithm: 'sha256',
  });
  const tap = await startSignInTap();
  atEnd(t, () => tap.close());
  const estate = await openEstate(t, await documentedRules(), 60, {
    simulator: { clientSecret: SECRET, clientCertificate: cert },
    authorities: [tap.authority],
    env: { AZURE_AUTHORITY_HOST: tap.url, LOG_LEVEL: 'trace', CALL_TIMEOUT: '2s' },
  });
  const { authorityUrl, caFile } = estate.simulator;
  tap.lead(authorityUrl, await readFile(caFile, 'utf8'));
  const pem = join(estate.redis.folder, 'application.pem');
  await writeFile(pem, `${key}\n${cert}`, { mode: 0o600 });
  return { estate, tap, key, pem, said: [] };
}

/** A day on which much goes wrong, with everything that is known said about it. */
async function play(stage: Stage): Promise<void> {
  const { estate, tap, pem } = stage;
  const ids = [...estate.ids];
  await submit(stage, 'first', ids.splice(0, 15));
  await withWrongSecret(stage);
  await withWorker(stage, 'secret', {}, async () => {
    await cancelOne(stage, ids.pop());
    await troubles(stage, ids);
  });
  const certificate = { AZURE_CLIENT_SECRET: '', AZURE_CLIENT_CERTIFICATE_PATH: pem };
  await submit(stage, 'second', ids.splice(0, 15));
  await withWorker(stage, 'certificate', certificate, async () => {
    await cancelOne(stage, ids.pop());
    await troubles(stage, ids);
  });
  assert.ok(tap.seen.secrets.has(SECRET) && tap.seen.secrets.has(WRONG) && tap.seen.assertions.size > 0);
  assert.ok(tap.seen.tokens.size >= 4, `${tap.seen.tokens.size} tokens`);
  await commands(stage);
}

/** A worker that holds because it cannot sign in; what the sign-in says repeats the secret. */
async function withWrongSecret(stage: Stage): Promise<void> {
  const { simulator } = stage.estate;
  const message = `AADSTS7000215: Invalid client secret provided: ${WRONG}`;
  await simulator.addFault({
    operation: 'token',
    times: 1,
    fault: { kind: 'status', status: 401, code: 'invalid_client', message },
  });
  await withWorker(stage, 'wrong', { AZURE_CLIENT_SECRET: WRONG }, (worker) =>
    eventually(() => assert.match(worker.stderr, /AADSTS7000215/)),
  );
}

/** Refused tokens, and answers that repeat what was sent. */
async function troubles(stage: Stage, ids: string[]): Promise<void> {
  const { simulator } = stage.estate;
  const token = [...stage.tap.seen.tokens].at(-1) ?? '';
  await simulator.revokeTokens();
  await simulator.addFault({
    operation: 'token',
    times: 1,
    fault: { kind: 'html', status: 503, body: `<p>${SECRET} ${token}` },
  });
  await cancelOne(stage, ids.pop());
  const answers = [
    { kind: 'status', status: 403, message: `no rights for ${token}` },
    { kind: 'status', status: 404, message: `Authorization: Bearer ${token}` },
    { kind: 'html', status: 403, body: `<p>${token}</p>` },
    { kind: 'status', status: 401, message: `expired: ${token}` },
  ] as const;
  for (const fault of answers) {
    await simulator.addFault({ operation: 'cancel', times: 1, fault });
    await cancelOne(stage, ids.pop());
  }
}

async function cancelOne({ estate }: Stage, machineActionId: string | undefined): Promise<void> {
  const producer = estate.openProducer();
  const { outcome } = await producer.result(await producer.add({ machineActionId, comment: 'x' }));
  assert.ok(outcome);
}

async function submit({ estate }: Stage, campaign: string, ids: readonly string[]): Promise<void> {
  const args = ['submit', '-', '--campaign', campaign, '--comment', 'x', '--yes'];
  succeeded(await estate.command('operator', args, ids.join('\n')));
}

async function withWorker(
  { estate, said }: Stage,
  name: string,
  env: Record<string, string>,
  run: (worker: Process) => Promise<unknown>,
): Promise<void> {
  const worker = estate.startWorker(['--verify'], env);
  await run(worker);
  worker.kill('SIGTERM');
  await worker.exited;
  assert.match(worker.stderr, /"level":"debug"/, 'everything is said');
  said.push({ where: `the output of the worker with ${name}`, text: worker.stdout + worker.stderr });
}

/** As processes the ones that end in an error that is about a setting; the others need none. */
async function commands({ estate, said, pem }: Stage): Promise<void> {
  const html = join(estate.redis.folder, 'report.html');
  const note = (what: string, { stdout, stderr }: Ran) =>
    said.push({ where: `the output of ${what}`, text: stdout + stderr });
  for (const words of [
    ...['doctor', 'status', 'budget', 'report first', 'history first', 'verify first', 'watch first'],
    ...[
      `report first --output ${html} --force`,
      'select --where status=Pending',
      `submit ${SECRET} --nothing`,
    ],
  ]) {
    note(words, await estate.command('operator', words.split(' ')));
  }
  const trouble = { AZURE_CLIENT_SECRET: WRONG };
  note('doctor with a wrong secret', await estate.command('operator', ['doctor'], '', trouble));
  const both = { AZURE_CLIENT_CERTIFICATE_PATH: pem };
  note('doctor with two credentials', await estate.command('operator', ['doctor'], '', both));
  const garbled = { REDIS_URL: `${estate.redis.url('operator')}/x y@z` };
  note('status with a garbled REDIS_URL', await estate.run('operator', ['status'], '', garbled));
  const stranger = { REDIS_URL: estate.redis.url('operator').replace('standdown-operator', 'stranger') };
  note('status as a stranger', await estate.command('operator', ['status'], '', stranger));
  assert.deepEqual(await estate.redis.refusals(), ['stranger: auth hello (toplevel)']);
}

function needlesFor({ estate, tap, key }: Stage): Needle[] {
  const named = (what: string, values: Iterable<string>, forms: (name: string, value: string) => Needle[]) =>
    [...values].flatMap((value, index) => forms(`${what} ${index + 1}`, value));
  return [
    ...named('client secret', [SECRET, WRONG], needlesOf),
    ...named('token', tap.seen.tokens, needlesOfToken),
    ...named('assertion', tap.seen.assertions, needlesOfToken),
    ...needlesOfKey('the private key', key),
    ...ROLES.flatMap((role) => needlesOf(`Redis' password of ${role}`, estate.redis.passwordOf(role))),
  ];
}

async function gather({ estate, said }: Stage): Promise<Haystack[]> {
  return [...said, ...(await dumpRedis(estate.redis.admin)), ...(await filesIn(estate.redis.folder))];
}

/** All that was written, but for what the test itself put there. */
async function filesIn(folder: string): Promise<Haystack[]> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  const paths = names.map(({ parentPath, name }) => join(parentPath, name));
  const written = paths.filter((path) => !/(\.acl|key\.pem|application\.pem)$/.test(path));
  assert.ok(
    written.some((path) => path.endsWith('report.html')) && written.some((path) => path.endsWith('.aof')),
  );
  return Promise.all(written.map(async (path) => ({ where: path, text: await readFile(path, 'latin1') })));
}

/** A scan that finds nothing has to be able to. */
async function assertScanFinds({ estate, tap }: Stage, needles: readonly Needle[]): Promise<void> {
  const { admin } = estate.redis;
  const [token = ''] = tap.seen.tokens;
  const [, payload = ''] = token.split('.');
  const inBase64 = Buffer.from(`x${SECRET}y`).toString('base64');
  await admin.set('p:string', `a ${SECRET} b`);
  await admin.hset('p:hash', 'field', inBase64);
  await admin.hset('p:field', token, '1');
  await admin.rpush('p:list', JSON.stringify({ text: WRONG }));
  await admin.sadd('p:set', payload);
  await admin.zadd('p:zset', 1, encodeURIComponent(SECRET));
  await admin.xadd('p:stream', '*', 'field', estate.redis.passwordOf('worker'));
  await admin.set(`p:${SECRET}`, '1');
  const found = findLeaks(await dumpRedis(admin), needles).join('\n');
  for (const type of ['string', 'hash', 'list', 'set', 'zset', 'stream']) {
    assert.match(found, new RegExp(`in ${type} p:${type}$`, 'm'));
  }
  assert.match(found, /^token 1 in hash p:field$/m);
  assert.match(found, /in the name of a key$/m);
  const line = `{"level":"debug","authorization":"${token.slice(0, -5)}"}`;
  assert.notEqual(findLeaks([{ where: 'a line', text: line }], needles).length, 0);
}
