import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { OUTCOMES } from '../../../src/base/outcome.ts';
import type { HttpAnswer, NoAnswer } from '../../../src/defender/exchange.ts';
import { createFamilies } from '../../../src/ops/metrics/families.ts';
import { STATUSES, statusOf } from '../../../src/ops/metrics/status.ts';
import { clearStanding, forgetTenant, observeTenant, showStanding } from '../../../src/ops/metrics/tenant.ts';
import { LANES, OPERATIONS } from '../../../src/store/keys.ts';
import { ROOT } from '../../support/processes.ts';
import { samplesOf } from './scrape.ts';

const answered = (status: number): HttpAnswer => ({ kind: 'answer', status, headers: {}, body: '' });
const unanswered = (kind: NoAnswer['kind']): NoAnswer => ({ kind, code: 'X', message: 'x' });

/** Whatever may come back. */
const ANSWERS = [
  ...Array.from({ length: 700 }, (_, status) => answered(status)),
  unanswered('lost'),
  unanswered('unsent'),
];

test('a tenant that has met everything costs as many series as is written, and leaves none', async () => {
  const registry = new Registry();
  const families = createFamilies(registry);
  const seriesOf = async (tenant: string) =>
    samplesOf(await registry.metrics()).filter(({ labels }) => labels['tenant'] === tenant).length;
  for (const tenant of ['one', 'other']) {
    const observer = observeTenant(families, tenant);
    for (const operation of OPERATIONS)
      for (const answer of ANSWERS) observer.called(operation, answer, Math.random() * 100_000);
    for (const outcome of OUTCOMES) observer.ended(outcome, 1);
    for (const epoch of ['1', '2']) observer.looked(epoch);
    for (const ok of [true, false]) observer.signedIn(ok);
    const lengths = [60_000, 3_600_000];
    showStanding(families, tenant, {
      glance: {
        now: 0,
        windows: OPERATIONS.flatMap((operation) =>
          lengths.map((lengthMs) => ({ operation, max: 1, used: 0, lengthMs })),
        ),
        holds: [{ reason: 'penalty', until: null, detail: '' }],
        full: true,
        pace: 0.5,
      },
      lanes: LANES.map((lane) => ({ lane, waiting: 1, delayed: 1, active: 1, ageS: 1 })),
      open: { running: 1, paused: 1, ending: 1 },
    });
    families.ready.set({ tenant }, 1);
    families.readOk.set({ tenant }, 1);
  }
  const [, written] = /and (\d+) at most with two windows/.exec(
    await readFile(join(ROOT, 'docs/metrics.md'), 'utf8'),
  ) ?? [''];
  assert.equal(await seriesOf('one'), Number(written));
  forgetTenant(families, 'one');
  clearStanding(families);
  assert.equal(await seriesOf('one'), 0);
  assert.ok((await seriesOf('other')) > 0);
});

test('a call’s status is one of few', () => {
  const rows: [HttpAnswer | NoAnswer, string][] = [
    [answered(200), '200'],
    [answered(204), 'other'],
    [answered(302), 'other'],
    [answered(400), '400'],
    [answered(407), '4xx'],
    [answered(429), '429'],
    [answered(500), '5xx'],
    [answered(599), '5xx'],
    [answered(600), 'other'],
    [unanswered('lost'), 'lost'],
    [unanswered('unsent'), 'unsent'],
  ];
  for (const [answer, status] of rows) assert.equal(statusOf(answer), status);
  assert.deepEqual(new Set(ANSWERS.map(statusOf)), new Set(STATUSES));
});
