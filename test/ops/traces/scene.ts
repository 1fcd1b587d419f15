import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { makeActions } from '../../../src/simulator/index.ts';
import { atEnd } from '../../store/redis/support/machine.ts';
import { type Command, runCommand, startCommand } from '../../support/command.ts';
import { type Process, type Ran, startCli } from '../../support/processes.ts';
import { openTestRedis } from '../../support/redis.ts';
import type { SimulatorProcess } from '../../support/simulator.ts';
import { startSimulatorHere } from '../../support/simulator.ts';
import { newTenant, type TestTenant } from '../../support/tenant.ts';
import { SHORT } from '../../support/timings.ts';
import { eventually } from '../../support/wait.ts';
import { type Collector, type Manner, type SeenSpan, startCollector } from './collector.ts';

export const LIMITS = '100000/1s';

export interface Scene {
  collector: Collector;
  simulator: SimulatorProcess;
  tenant: TestTenant;
  redisUrl: string;
  /** Where a worker or a command is, without any tracing. */
  env: Record<string, string>;
  /** What switches tracing on. */
  otel: Record<string, string>;
  addActions(count: number): Promise<string[]>;
  /** Runs a command in this process, while no worker starts; its OTEL variables are those of `env`. */
  run(args: readonly string[], env: Record<string, string>, stdin: string): Promise<Ran>;
  /** In this process, one at a time: whose OTEL variables are those of `env` from then on, and no others. */
  startWorker(env?: Record<string, string>): Command;
  startWorkerProcess(env?: Record<string, string>): Process;
}

let seed = 0;

/** OpenTelemetry's SDK reads the process's, where a command puts its own. */
function forgetVariables(): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name];
}

/** Redis, a simulator, an OTLP receiver, and workers. */
export async function openScene(t: TestContext, manner: Manner = 200): Promise<Scene> {
  const server = await openTestRedis();
  atEnd(t, () => server.close());
  const simulator = await startSimulatorHere(LIMITS, { actions: [] });
  atEnd(t, () => simulator.stop());
  const collector = await startCollector(manner);
  atEnd(t, () => collector.close());
  const tenant = await newTenant(await server.connect());
  const env = {
    ...simulator.settings,
    REDIS_URL: server.url,
    STANDDOWN_TENANT: tenant.label,
    PRECHECK: 'off',
    URGENT_RESERVE: 'none',
  };
  const otel = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  return {
    collector,
    simulator,
    tenant,
    redisUrl: server.url,
    env,
    otel,
    addActions: async (count) => {
      const made = makeActions({ count, seed: ++seed + Date.now() });
      await simulator.addActions(made.actions);
      return made.ids;
    },
    run: (args, more, stdin) => {
      forgetVariables();
      return runCommand(args, { env: { ...env, ...more }, stdin });
    },
    startWorker: (more = otel) => {
      forgetVariables();
      const worker = startCommand(['worker'], { env: { ...env, ...more }, timings: SHORT });
      atEnd(t, async () => {
        worker.stop();
        await worker.exited;
      });
      return worker;
    },
    startWorkerProcess: (more = otel) => {
      const worker = startCli(['worker'], { env: { ...env, ...more }, timings: SHORT });
      atEnd(t, async () => {
        worker.kill('SIGTERM');
        await worker.exited;
      });
      return worker;
    },
  };
}

/** Waits for spans that satisfy this, so many of them. */
export function spansOf(
  { collector }: Pick<Scene, 'collector'>,
  count: number,
  fits: (span: SeenSpan) => boolean,
): Promise<SeenSpan[]> {
  return eventually(() => {
    const found = collector.spans.filter(fits);
    assert.equal(found.length, count, JSON.stringify(collector.spans.map(({ name }) => name)));
    return found;
  });
}

export const isOf = (id: string) => (span: SeenSpan) => span.attributes['standdown.machine_action.id'] === id;

/** The span under another one, the only one of that name. */
export async function childOf(scene: Scene, parent: SeenSpan, name: string): Promise<SeenSpan> {
  const [child] = await spansOf(
    scene,
    1,
    (span) => span.parentSpanId === parent.spanId && span.name === name,
  );
  assert.equal(child?.traceId, parent.traceId);
  return child as SeenSpan;
}

/** What a worker has logged, by line. */
export function logOf(worker: Pick<Process, 'stderr'>): Record<string, unknown>[] {
  return worker.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Hands on what the API is asked, and keeps the headers as they came. */
export async function startApiTap(t: TestContext, apiUrl: string) {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((asked, answer) => {
    seen.push(asked.headers);
    const { method = 'GET', headers } = asked;
    const onwards = request(new URL(asked.url ?? '/', apiUrl), { method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    onwards.on('error', () => answer.destroy());
    asked.pipe(onwards);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(t, async () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}
