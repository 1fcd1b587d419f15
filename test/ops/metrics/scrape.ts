import assert from 'node:assert/strict';
import { request } from 'undici';

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** What Prometheus reads of a worker. */
export async function scrape(port: number | string | null | undefined): Promise<Sample[]> {
  const { statusCode, body, headers } = await request(`http://127.0.0.1:${port}/metrics`, { reset: true });
  const text = await body.text();
  assert.equal(statusCode, 200, text);
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
  return samplesOf(text);
}

export function samplesOf(text: string): Sample[] {
  return text.split('\n').flatMap((line) => (line === '' || line.startsWith('#') ? [] : [sampleOf(line)]));
}

function sampleOf(line: string): Sample {
  const [, name = '', labels = '', value] = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  assert.notEqual(name, '', line);
  const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text]);
  return { name, labels: Object.fromEntries(pairs), value: Number(value) };
}

/** The one value that has these labels, whatever others it has; undefined: there is none. */
export function sampled(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const fitting = samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  assert.ok(fitting.length <= 1, `${fitting.length} of ${name} fit`);
  return fitting[0]?.value;
}
