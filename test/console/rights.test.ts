import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { request } from 'undici';
import { newGuids } from '../cli/shell.ts';
import { documentedRules, type Role } from '../support/acl.ts';
import { runCommand, startCommand } from '../support/command.ts';
import { startSecuredRedis } from '../support/secured-redis.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

/** A Redis with the users of docs/redis.md, a campaign in it, and the console as one of them. */
async function openAs(t: TestContext, role: Role) {
  const tenant = newLabel();
  const redis = await startSecuredRedis(t, { rules: await documentedRules(), tenant });
  const envOf = (user: Role) => ({
    NODE_EXTRA_CA_CERTS: join(redis.folder, 'ca.pem'),
    REDIS_URL: redis.url(user),
    STANDDOWN_TENANT: tenant,
    STANDDOWN_DATA_DIR: join(redis.folder, 'data'),
  });
  const args = ['submit', '--campaign', 'undo', '--comment', 'x', '--yes'];
  const ran = await runCommand(args, { env: envOf('operator'), stdin: [ID, ...newGuids(2)].join('\n') });
  assert.equal(ran.code, 0, ran.stderr);
  const command = startCommand(['console', '--port', '0'], { env: envOf(role) });
  t.after(async () => {
    command.stop();
    await command.exited;
  });
  const url = await eventually(() => {
    const [found] = /http:\/\/127[^" ]+/.exec(command.stderr) ?? [];
    assert.ok(found, command.stderr);
    return found;
  });
  await redis.refusals();
  const get = async (path: string, cookie = '') => {
    const answer = await request(new URL(path, url), { headers: { cookie } });
    const [set = ''] = [answer.headers['set-cookie'] ?? []].flat();
    return { status: answer.statusCode, text: await answer.body.text(), cookie: set.split(';')[0] ?? '' };
  };
  const post = async (path: string, fields: Record<string, string>) => {
    const { text, cookie } = await get(path);
    const formKey = /name="formKey" value="([^"]+)"/.exec(text)?.[1] ?? '';
    const answer = await request(new URL(path, url), {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ ...fields, formKey }).toString(),
    });
    await answer.body.dump();
    return answer.statusCode;
  };
  return { redis, base: `/t/${tenant}`, queues: `/queues/${tenant}/api/queues`, get, post };
}

const ID = newGuids(1)[0] ?? '';

const PAGES = ['', '/budget', '/c/1', '/c/1?q=a&sort=device', `/c/1/r/${ID}`, '/submit'];

test('an operator of docs/redis.md has all the rights that looking and steering take', async (t) => {
  const { redis, base, get, post } = await openAs(t, 'operator');
  for (const page of PAGES) assert.equal((await get(`${base}${page}`)).status, 200, page);
  for (const action of ['pause', 'resume', 'priority', 'retry', 'abort']) {
    assert.equal(await post(`${base}/c/1/${action}`, { priority: '2', outcome: 'withdrawn' }), 303, action);
  }
  assert.equal(await post(`${base}/c/1/export`, { format: 'csv' }), 200);
  assert.match((await get(`${base}/c/1`)).text, /3 of 3 actions finished/);
  assert.deepEqual(await redis.refusals(), []);
});

test('a reader of docs/redis.md has those that looking takes, and can change nothing', async (t) => {
  const { redis, base, get, post } = await openAs(t, 'reader');
  for (const page of PAGES) assert.equal((await get(`${base}${page}`)).status, 200, page);
  assert.deepEqual(await redis.refusals(), []);
  await post(`${base}/c/1/pause`, {});
  assert.match((await get(`${base}/c/1`)).text, /data-state="running"/);
});

test('a worker of docs/redis.md has those that the queues take', async (t) => {
  const { redis, queues, get } = await openAs(t, 'worker');
  const { status, text } = await get(queues);
  assert.equal(status, 200, text);
  assert.match(text, /cancel-campaign/);
  t.diagnostic(`refused: ${(await redis.refusals()).join('; ') || 'nothing'}`);
});
