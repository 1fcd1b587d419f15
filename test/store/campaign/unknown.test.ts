import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { guidToBytes } from '../../../src/base/guid.ts';
import { createCampaignIndex } from '../../../src/console/campaign-index.ts';
import { renderHead } from '../../../src/console/campaign-parts.ts';
import { createFinder, readWanted } from '../../../src/console/requests.ts';
import { viewBudget } from '../../../src/store/budget/view.ts';
import { forgetCampaign } from '../../../src/store/campaign/forget.ts';
import { findCampaign } from '../../../src/store/campaign/registry.ts';
import { campaignStatus } from '../../../src/store/campaign/status.ts';
import { linesOf, newGuids, openShell, type Shell } from '../../cli/shell.ts';
import { createProbe } from '../../support/ledger.ts';
import { openTestRedis, type TestRedis } from '../../support/redis.ts';

let server: TestRedis;
let shell: Shell;

/** One action of its own that was cancelled, one that is pending in another campaign, and two of a campaign that was deleted. */
before(async () => {
  server = await openTestRedis();
  shell = await openShell(server);
  const { tenant } = shell;
  const { redis, keys } = tenant;
  const [own = '', theirs = '', ...lost] = newGuids(4);
  await shell.submit('lost', lost);
  for (const id of lost) await createProbe(tenant).decide(guidToBytes(id), 1, 'cancelled');
  await shell.submit('theirs', [theirs]);
  await shell.submit('mine', [own, theirs, ...lost]);
  await createProbe(tenant).decide(guidToBytes(own), 3, 'cancelled');
  await forgetCampaign(tenant, await findCampaign(redis, keys, 'lost'), Number.MAX_SAFE_INTEGER);
});
after(async () => {
  await shell.close();
  await server.close();
});

const ran = async (...args: string[]) => (await shell.run(args)).stdout;

it('status counts actions of a deleted campaign as unknown, and its parts add up', async () => {
  const { total, open, unknown, outcomes, state } = JSON.parse(await ran('status', 'mine', '--json'));
  assert.deepEqual([total, open, unknown, outcomes, state], [4, 1, 2, { cancelled: 1 }, 'running']);
  const text = await ran('status', 'mine');
  assert.match(
    text,
    /running, 1 of 4 actions finished \(25%\)\n {2}cancelled +1\n {2}pending +1\n {2}unknown +2\n/,
  );
  assert.match(text, /2 actions were owned by a deleted campaign; their outcomes are unknown/);
  assert.match(await ran('status'), /mine +running +4 +1 +1 +no worker\n/);
});

it('reports and the history say the same', async () => {
  const lines = linesOf(await ran('report', 'mine')).map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ outcome }) => outcome).sort(),
    ['cancelled', null, 'unknown', 'unknown'].sort(),
  );
  const rows = linesOf(await ran('report', 'mine', '--format', 'csv')).slice(1);
  const outcomes = rows.map((row) => row.split(',')[1]).sort();
  assert.deepEqual(outcomes, ['cancelled', 'pending', 'unknown', 'unknown']);
  const page = await ran('report', 'mine', '--format', 'html');
  assert.ok(page.includes('1 is pending, 2 are unknown because the campaign that owned them was deleted'));
  assert.ok(/unknown<\/th>\s*<td class="number">2<\/td>/.test(page), 'the table of outcomes has them');
  const { machineActionId: id } = lines.find(({ outcome }) => outcome === 'unknown');
  assert.match(await ran('history', 'mine', id), /^Now: unknown; .*owned by a deleted campaign/);
});

it('the console finds them as unknown', async () => {
  const { tenant } = shell;
  const { redis, keys, limits } = tenant;
  const index = await createCampaignIndex(tenant, 3).read();
  const find = (outcome: string) => createFinder().search(index, readWanted({ outcome })).total;
  assert.deepEqual([find('cancelled'), find('open'), find('unknown')], [1, 1, 2]);
  const status = await campaignStatus(tenant, 'mine');
  const budget = await viewBudget(redis, keys, limits);
  const head = String(renderHead({ status, budget, tenant: tenant.label }, []));
  assert.match(head, /unknown <strong>2<\/strong>/);
  assert.match(head, /1 of 4 actions finished \(25%\)/);
});

it('watch ends when nothing else is pending, and not as if all were cancelled', async () => {
  await shell.run(['abort', 'theirs', '--yes']);
  const { code, stdout } = await shell.run(['watch', 'mine']);
  assert.equal(code, 3);
  assert.match(stdout, /^2 of 4 finished;/);
  assert.match(stdout, /done, 2 of 4 actions finished \(50%\)/);
  assert.match(stdout, /Not all actions are known to be cancelled/);
});
