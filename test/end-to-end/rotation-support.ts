import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { viewBudget } from '../../src/store/budget/view.ts';
import { openTestRedis, TEST_DIR, type TestRedis } from '../support/redis.ts';
import { newLabel } from '../support/tenant.ts';
import { eventually } from '../support/wait.ts';
import type { Credential } from './rotation-credential.ts';
import { type Field, type FieldOptions, openField } from './support.ts';

/** They last 15 s: longer than a token that is nearly over, and the last one that it was good for. */
const IDS = 90;
/** Renewed every two seconds: the file is read as often. */
const TOKEN_LIFETIME_MS = 4_000;

export interface Place {
  server: TestRedis;
  folder: string;
  close(): Promise<void>;
}

/** A Redis, and a folder for the files that are replaced. */
export async function openPlace(): Promise<Place> {
  const server = await openTestRedis();
  const folder = join(TEST_DIR, 'rotation', newLabel());
  await mkdir(folder, { recursive: true });
  return {
    server,
    folder,
    close: async () => {
      await rm(folder, { recursive: true, force: true });
      await server.close();
    },
  };
}

/** A field whose worker signs in with what a file holds. */
export async function openWithFile(
  { server, folder }: Place,
  text: string,
  simulator: FieldOptions['simulator'],
  variable: string,
) {
  const path = join(folder, newLabel());
  await writeFile(path, text, { mode: 0o600 });
  const field = await openField(server, {
    limits: '6/1s,1000/1h',
    ids: IDS,
    apart: false,
    simulator: { tokenLifetimeMs: TOKEN_LIFETIME_MS, ...simulator },
    env: { AZURE_CLIENT_SECRET: '', [variable]: path },
  });
  return { ...field, path };
}

export function openSigned(place: Place, { pem, certificate }: Credential) {
  return openWithFile(place, pem, { clientCertificate: certificate }, 'AZURE_CLIENT_CERTIFICATE_PATH');
}

export async function untilDecided(field: Field, count: number): Promise<void> {
  await eventually(async () => {
    const { total, open } = await field.campaign();
    assert.ok(total - open >= count);
  });
}

export async function signInHold({ redis, tenant }: Field) {
  const { holds } = await viewBudget(redis, tenant.keys, tenant.config.limits);
  return holds.find(({ reason }) => reason === 'sign-in');
}

export async function untilSaid(field: Field, what: RegExp): Promise<void> {
  await eventually(async () => assert.match((await signInHold(field))?.detail ?? '', what));
}

export async function assertUnharmed(t: TestContext, field: Field): Promise<void> {
  const lines = await field.assertComplete();
  for (const { outcome, attempts } of lines.values()) assert.deepEqual([outcome, attempts], ['cancelled', 1]);
  const calls = await field.simulator.calls();
  assert.equal(
    calls.filter(({ operation, verdict }) => operation === 'cancel' && verdict === 'served').length,
    IDS,
  );
  assert.equal((await field.simulator.refusals()).length, 0);
  const tokens = calls.filter(({ operation }) => operation === 'token');
  t.diagnostic(
    `${tokens.length} sign-ins, ${tokens.filter(({ verdict }) => verdict !== 'served').length} of them refused`,
  );
}
