import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { guidToBytes } from '../../src/base/guid.ts';
import { PAUSE_AFTER_REFUSALS } from '../../src/store/ledger/brake.ts';
import { newGuids, openShell, type Shell } from '../cli/shell.ts';
import { createProbe } from '../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';
import { openConsole } from './support.ts';

const NAME = 'wrong scan';
const COMMAND = /standdown resume 'wrong scan'/;

/** What a person sees of the brake, and does about it, in commands and on the pages. */
describe('a campaign that the brake has paused, with nothing open', () => {
  let server: TestRedis;
  let shell: Shell;
  let url: string;

  before(async () => {
    server = await openTestRedis();
    shell = await openShell(server);
    await refuse();
    ({ url } = await openConsole({ env: shell.env }));
  });
  after(async () => {
    await shell.close();
    await server.close();
  });

  /** Submits as many as it takes, and lets all be refused. */
  async function refuse(): Promise<void> {
    const ids = newGuids(PAUSE_AFTER_REFUSALS);
    await shell.submit(NAME, ids);
    const probe = createProbe(shell.tenant);
    const detail = { httpStatus: 403, errorCode: 'Forbidden' };
    const verdict = { kind: 'decided', outcome: 'forbidden', detail } as const;
    for (const id of ids.map(guidToBytes))
      await probe.finish(id, 1, await probe.grant(id, 1), { verdict, pauseReason: 'The API said no.' });
  }

  /** A page, once the console's connection to Redis is there. */
  function open(path: string) {
    return eventually(async () => {
      const page = await request(new URL(path, url));
      const text = await page.body.text();
      assert.equal(page.statusCode, 200, text);
      return { text, headers: page.headers };
    });
  }

  async function done(...args: string[]): Promise<string> {
    const ran = await shell.run(args);
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  }

  it('says why in status, watch, the report and on the pages, with the command or the button', async () => {
    const status = await done('status', NAME);
    assert.match(
      status,
      /paused, 20 of 20 actions finished[\s\S]*Paused after 20 refusals in a row\. The API said no\./,
    );
    assert.match(status, COMMAND);
    const watched = await shell.run(['watch', NAME]);
    assert.equal(watched.code, 3);
    assert.match(watched.stdout, COMMAND);
    assert.match(await done('report', NAME, '--format', 'html'), /paused: Paused after 20 refusals/);
    for (const path of ['/', `/t/${shell.tenant.label}`, `/t/${shell.tenant.label}/c/1`]) {
      const { text } = await open(path);
      assert.match(text, /The API said no\..*select Resume/, path);
      assert.doesNotMatch(text, /run &quot;standdown (resume|retry)/, path);
    }
  });

  it('is resumed with refusals accepted by a command, or by a choice on the page', async () => {
    const { tenant } = shell;
    const fields = () => tenant.redis.hmget(tenant.keys.campaign(1), 'state', 'tolerant', 'trial');
    const path = `/t/${tenant.label}/c/1/resume`;
    const { text, headers } = await open(path);
    assert.match(
      text,
      /One action goes first: if Defender refuses it in the same way, the campaign is paused again/,
    );
    assert.match(text, /<input type="checkbox" name="acceptRefusals" value="1">/);
    const cookie = [headers['set-cookie'] ?? []]
      .flat()
      .map((set) => set.split(';')[0])
      .join('; ');
    const formKey = /name="formKey" value="([^"]+)"/.exec(text)?.[1] ?? '';
    const answer = await request(new URL(path, url), {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ formKey, acceptRefusals: '1' }).toString(),
    });
    await answer.body.dump();
    assert.deepEqual(await fields(), ['running', '1', null]);

    await tenant.redis.hdel(tenant.keys.campaign(1), 'tolerant');
    await refuse();
    assert.equal(await done('resume', NAME), `Campaign "${NAME}" in tenant ${tenant.label}: running\n`);
    assert.deepEqual(await fields(), ['running', null, 'forbidden 403 Forbidden']);
    await done('resume', NAME, '--accept-refusals');
    assert.deepEqual(await fields(), ['running', '1', null]);
  });
});
