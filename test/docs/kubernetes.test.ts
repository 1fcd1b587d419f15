import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { parse, parseAllDocuments } from 'yaml';
import { readConfig, SETTINGS } from '../../src/config/config.ts';
import { ROOT } from '../support/processes.ts';
import { openTestRedis, type TestRedis } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';
import { blocksOf, longestStopMs } from './facts.ts';

interface Variable {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef?: { name: string; key: string }; fieldRef?: { fieldPath: string } };
}

interface Probe {
  httpGet: { path: string; port: string };
  periodSeconds: number;
  failureThreshold?: number;
}

interface Container {
  name: string;
  command?: unknown;
  args?: unknown;
  env: Variable[];
  ports: { name: string; containerPort: number }[];
  livenessProbe: Probe;
  readinessProbe: Probe;
  securityContext: Record<string, unknown>;
  volumeMounts: { name: string; mountPath: string }[];
}

type Labels = Record<string, string>;

interface Deployment {
  kind: string;
  metadata: { name: string };
  spec: {
    replicas: number;
    selector: { matchLabels: Labels };
    strategy: { rollingUpdate: { maxSurge: number; maxUnavailable: number } };
    template: {
      metadata: { labels: Labels };
      spec: {
        terminationGracePeriodSeconds: number;
        enableServiceLinks: boolean;
        topologySpreadConstraints: { labelSelector: { matchLabels: Labels } }[];
        securityContext: Record<string, unknown>;
        containers: [Container];
        volumes: { name: string; emptyDir?: object; projected?: { sources: Token[] } }[];
      };
    };
  };
}

interface Token {
  serviceAccountToken: { path: string };
}

describe('docs/kubernetes.md', () => {
  let deployment: Deployment;
  let others: { kind: string; spec: Record<string, unknown> }[];
  let federated: Deployment;
  let worker: Container;
  let dockerfile: string;
  let server: TestRedis;

  before(async () => {
    const [first = '', second = ''] = await blocksOf('kubernetes.md', 'yaml');
    const documents = parseAllDocuments(first);
    assert.deepEqual(
      documents.flatMap(({ errors, warnings }) => [...errors, ...warnings]),
      [],
    );
    const [main, ...rest] = documents.map((document) => document.toJS());
    deployment = main as Deployment;
    others = rest;
    federated = parse(second) as Deployment;
    [worker] = deployment.spec.template.spec.containers;
    dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
    server = await openTestRedis();
  });
  after(() => server.close());

  /** As in a pod: what is given by reference has some value. */
  function environment(variables: readonly Variable[], podIp = '10.1.2.3'): Record<string, string> {
    return Object.fromEntries(
      variables.map(({ name, value, valueFrom }) => [
        name,
        value ?? (valueFrom?.fieldRef?.fieldPath === 'status.podIP' ? podIp : 'redis://reference'),
      ]),
    );
  }

  it('holds a Deployment, a budget for disruptions and a policy, which mean the same pods', () => {
    assert.deepEqual(
      [deployment.kind, ...others.map(({ kind }) => kind)],
      ['Deployment', 'PodDisruptionBudget', 'NetworkPolicy'],
    );
    const { selector, template } = deployment.spec;
    const [disruptions, policy] = others.map(({ spec }) => spec);
    const spread = template.spec.topologySpreadConstraints.map(({ labelSelector }) => labelSelector);
    assert.equal(spread.length, 1);
    for (const chosen of [selector, ...spread, disruptions?.['selector'], policy?.['podSelector']])
      assert.deepEqual(chosen, { matchLabels: template.metadata.labels });
    assert.deepEqual([policy?.['policyTypes'], policy?.['ingress']], [['Ingress'], []]);
  });

  it('sets variables that there are, to what is right', () => {
    for (const { name } of worker.env) assert.ok(SETTINGS.has(name), name);
    const config = readConfig(environment(worker.env));
    assert.deepEqual(config.signInMissing, []);
    assert.deepEqual([config.tenant, config.healthHost], ['contoso', '10.1.2.3']);
    assert.ok(config.redisUrl, 'no pod has a Redis, and a budget, of its own');
  });

  it('has secrets by reference only', () => {
    for (const { name, value, valueFrom } of worker.env) {
      const isSecret = /SECRET|PASSWORD|REDIS_URL/.test(name);
      assert.equal(valueFrom?.secretKeyRef !== undefined, isSecret, name);
      assert.equal(isSecret && value !== undefined, false, name);
    }
  });

  it('gives a pod longer to stop than it can take', () => {
    const { terminationGracePeriodSeconds } = deployment.spec.template.spec;
    const { CALL_TIMEOUT } = environment(worker.env);
    assert.ok(terminationGracePeriodSeconds * 1_000 > longestStopMs(CALL_TIMEOUT));
  });

  it('has no more rights than it needs', () => {
    const { securityContext, volumes } = deployment.spec.template.spec;
    assert.equal(securityContext['runAsNonRoot'], true);
    // The official image's "node" has this number.
    assert.match(dockerfile, /^FROM node:24-slim\n[\s\S]*^USER node$[\s\S]*^ENTRYPOINT/m);
    assert.deepEqual([securityContext['runAsUser'], securityContext['fsGroup']], [1_000, 1_000]);
    assert.deepEqual(worker.securityContext, {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
    const written = Object.fromEntries(worker.volumeMounts.map(({ name, mountPath }) => [mountPath, name]));
    const [, dataDir = ''] = /STANDDOWN_DATA_DIR=(\S+)/.exec(dockerfile) ?? [];
    assert.deepEqual(Object.keys(written), [dataDir, '/tmp']);
    for (const { name, emptyDir } of volumes) assert.ok(emptyDir, name);
  });

  it('runs what the image runs', () => {
    assert.deepEqual([worker.command, worker.args], [undefined, undefined]);
    assert.match(dockerfile, /^CMD \["worker"\]$/m);
  });

  it('keeps a worker while another starts, or a node is drained', () => {
    const { replicas, strategy } = deployment.spec;
    assert.equal(replicas, 2);
    assert.deepEqual(strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
    const [disruptions] = others;
    assert.equal(disruptions?.spec['maxUnavailable'], 1);
  });

  it('has probes that a worker with these settings answers, at the pod’s address', async () => {
    const { HEALTH_PORT, HEALTH_HOST } = environment(worker.env, '127.0.0.2');
    const stack = await openStack(server);
    try {
      const port = (name: string) => worker.ports.find((known) => known.name === name)?.containerPort;
      // Any free one, in place of a pod's own.
      const { healthPort } = await stack.startWorker({ HEALTH_PORT: '0', HEALTH_HOST });
      for (const { httpGet } of [worker.livenessProbe, worker.readinessProbe]) {
        assert.equal(String(port(httpGet.port)), HEALTH_PORT);
        await eventually(async () => {
          const asked = await request(`http://${HEALTH_HOST}:${healthPort}${httpGet.path}`, { reset: true });
          await asked.body.dump();
          assert.equal(asked.statusCode, 200);
        });
      }
      await assert.rejects(request(`http://127.0.0.1:${healthPort}/healthz`), { code: 'ECONNREFUSED' });
    } finally {
      await stack.close();
    }
    assert.deepEqual(
      [worker.livenessProbe.httpGet.path, worker.readinessProbe.httpGet.path],
      ['/healthz', '/readyz'],
    );
    assert.equal(deployment.spec.template.spec.enableServiceLinks, false, 'a Service sets no HEALTH_PORT');
  });

  it('with a federated token in place of the secret: where the token is', () => {
    const { containers, volumes } = federated.spec.template.spec;
    const [{ name, env, volumeMounts }] = containers;
    assert.equal(name, worker.name);
    const others = worker.env.filter((variable) => variable.name !== 'AZURE_CLIENT_SECRET');
    const config = readConfig(environment([...others, ...env]));
    const [mount] = volumeMounts;
    const volume = volumes.find((known) => known.name === mount?.name);
    const file = volume?.projected?.sources[0]?.serviceAccountToken.path;
    assert.deepEqual(config.signIn?.credential, { kind: 'federated', path: `${mount?.mountPath}/${file}` });
  });
});
