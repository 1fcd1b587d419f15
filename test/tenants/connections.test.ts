import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Cluster } from 'ioredis';
import { keysFor } from '../../src/store/keys.ts';
import { openCluster } from '../gauntlet/place.ts';
import { atEnd, testFolder } from '../store/redis/support/machine.ts';
import { startCli } from '../support/processes.ts';
import { startLocalSimulator } from '../support/simulator.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';

const TENANTS = 8;

test('in a cluster, too, a tenant has no more than 5 connections', async (t) => {
  const folder = testFolder(t);
  const place = await openCluster();
  atEnd(t, () => place.close());
  const redis = await place.connect();
  assert(redis instanceof Cluster);
  const labels = Array.from({ length: TENANTS }, () => newLabel());
  const file = join(folder, 'tenants.json');
  const entries = labels.map((label) => ({ STANDDOWN_TENANT: label, AZURE_TENANT_ID: `${label}.example` }));
  await writeFile(file, JSON.stringify(entries));
  // They sign in when they start.
  const [tenantId = '', ...otherTenantIds] = entries.map((entry) => entry.AZURE_TENANT_ID);
  const simulator = await startLocalSimulator('100/1m', { tenantId, otherTenantIds });
  atEnd(t, () => simulator.stop());
  const { AZURE_TENANT_ID: _, STANDDOWN_TENANT: __, ...shared } = simulator.settings;
  const worker = startCli(['worker'], {
    env: {
      ...shared,
      TENANTS_FILE: file,
      REDIS_URL: place.url,
      STANDDOWN_DATA_DIR: folder,
      LOG_LEVEL: 'warn',
    },
  });
  const clients = async () => {
    const lists = await Promise.all(redis.nodes('all').map((node) => node.client('LIST')));
    return lists.flatMap((list) => String(list).trim().split('\n'));
  };
  // Each tenant's three lanes and its inbox wait.
  const waiting = await eventually(async () => {
    const all = await clients();
    const blocked = all.filter((client) => /cmd=(bzpopmin|xreadgroup)/.test(client));
    assert.equal(blocked.length, 4 * TENANTS, worker.stderr);
    return all.filter((client) => /name=(standdown-|\{standdown:)/.test(client));
  }, 60_000);
  t.diagnostic(`${waiting.length} connections for ${TENANTS} tenants`);
  assert.ok(waiting.length <= 5 * TENANTS, `${waiting.length} connections`);
  await eventually(async () => {
    for (const label of labels) assert.equal(await redis.hlen(keysFor(label).workers), 1);
  });
  worker.kill('SIGTERM');
  assert.equal(await worker.exited, 0, worker.stderr);
});
