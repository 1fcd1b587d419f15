import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { parse } from 'yaml';
import { OUTCOMES } from '../../../src/base/outcome.ts';
import { createFamilies } from '../../../src/ops/metrics/families.ts';
import { OPEN_STATES } from '../../../src/ops/metrics/standing.ts';
import { STATUSES } from '../../../src/ops/metrics/status.ts';
import { HOLDS } from '../../../src/ops/metrics/tenant.ts';
import { LANES, OPERATIONS } from '../../../src/store/keys.ts';
import { ROOT } from '../../support/processes.ts';
import { mentionsOf } from './promql.ts';

interface Family {
  name: string;
  type: string;
  labels: string[];
}

const VALUES: Readonly<Record<string, readonly string[]>> = {
  outcome: OUTCOMES,
  operation: OPERATIONS,
  status: STATUSES,
  reason: HOLDS,
  lane: LANES,
  state: ['waiting', 'delayed', 'active', ...OPEN_STATES],
};

const read = (file: string) => readFile(join(ROOT, 'docs', file), 'utf8');

/** What a worker serves, by the names under which Prometheus keeps it. */
function exported(): { families: Family[]; series: Map<string, string[]> } {
  const own = new Registry();
  createFamilies(own);
  const families = own.getMetricsAsArray().map((metric) => ({
    name: metric.name,
    type: String(Reflect.get(metric, 'type') ?? metric.constructor.name.toLowerCase()),
    labels: [...(Reflect.get(metric, 'labelNames') as string[])].filter((label) => label !== 'le'),
  }));
  const series = new Map<string, string[]>();
  for (const { name, type, labels } of families) {
    const names = type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name];
    for (const one of names) series.set(one, one.endsWith('_bucket') ? [...labels, 'le'] : labels);
  }
  const process = new Registry();
  collectDefaultMetrics({ register: process });
  for (const { name } of process.getMetricsAsArray()) series.set(name, []);
  return { families, series };
}

/** What is wrong with an expression. */
function problemsOf(expression: string, series: ReadonlyMap<string, readonly string[]>): string[] {
  const { metrics, labels, values } = mentionsOf(expression);
  const known = new Set(['job', 'instance', ...metrics.flatMap((name) => series.get(name) ?? [])]);
  return [
    ...(metrics.length === 0 ? ['names no metric'] : []),
    ...metrics.filter((name) => !series.has(name)).map((name) => `no metric ${name}`),
    ...labels.filter((label) => !known.has(label)).map((label) => `no label ${label}`),
    ...values
      .filter(([label, value]) => VALUES[label] && !value.startsWith('$') && !VALUES[label].includes(value))
      .map(([label, value]) => `no ${label} ${value}`),
  ];
}

describe('what is written about metrics', () => {
  let world: ReturnType<typeof exported>;
  before(() => {
    world = exported();
  });

  it('is checked by somebody who notices', () => {
    const wrong: [string, string[]][] = [
      [
        'sum by (tenant) (rate(standdown_request_total{outcome="forbidden"}[5m]))',
        ['no metric standdown_request_total', 'no label outcome', 'no label tenant'],
      ],
      ['standdown_hold{reason=~"penalty|tired"} == 1', ['no reason tired']],
      ['max by (campaign) (standdown_open_ids)', ['no label campaign']],
      ['standdown_call_duration_seconds > 1', ['no metric standdown_call_duration_seconds']],
      ['1 > 2', ['names no metric']],
    ];
    for (const [expression, problems] of wrong)
      assert.deepEqual(problemsOf(expression, world.series), problems);
  });

  it('lists each metric with its type and its labels', async () => {
    const text = await read('metrics.md');
    const rows = [...text.matchAll(/^\| `(standdown_\w+)` \| (\w+) \| ([^|]*) \|/gm)];
    const listed = rows.map(([, name, type, labels = '']) => ({
      name,
      type,
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
    }));
    assert.deepEqual(listed, world.families);
  });

  it('lists all values that a label can have', async () => {
    const text = await read('metrics.md');
    for (const [label, values] of Object.entries(VALUES)) {
      const [, row = ''] = new RegExp(`^\\| \`${label}\` \\| (.*) \\|$`, 'm').exec(text) ?? [];
      assert.deepEqual(
        [...row.matchAll(/`([^`]+)`/g)].map(([, value]) => value),
        values,
        label,
      );
    }
  });

  it('alerts about what there is', async () => {
    const { groups } = parse(await read('alerts.yml')) as {
      groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length > 5);
    for (const { alert, expr, annotations } of rules) {
      assert.deepEqual(problemsOf(expr, world.series), [], alert);
      assert.ok(annotations.summary, alert);
      for (const [, label = ''] of JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g))
        assert.ok(mentionsOf(expr).labels.includes(label), `${alert}: ${label}`);
    }
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  });

  it('draws what there is, all of it', async () => {
    const { panels, templating } = JSON.parse(await read('dashboard.json')) as {
      panels: { id: number; title: string; targets: { expr: string }[] }[];
      templating: { list: { query: string | { query: string } }[] };
    };
    const drawn = new Set<string>();
    for (const { title, targets } of panels) {
      for (const { expr } of targets) {
        assert.deepEqual(problemsOf(expr, world.series), [], title);
        for (const name of mentionsOf(expr).metrics) drawn.add(name.replace(/_bucket$/, ''));
      }
    }
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    assert.deepEqual(
      world.families.map(({ name }) => name).filter((name) => !drawn.has(name)),
      [],
    );
    for (const { query } of templating.list) {
      const [, name] = /^label_values\((\w+),/.exec(typeof query === 'string' ? query : query.query) ?? [];
      if (name !== undefined) assert.ok(world.series.has(name), name);
    }
  });
});
