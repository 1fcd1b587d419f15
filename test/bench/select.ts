import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { makeActions } from '../../src/simulator/index.ts';
import { startCli } from '../support/processes.ts';
import { openTestRedis, TEST_DIR } from '../support/redis.ts';
import { type SimulatorProcess, startSimulatorProcess } from '../support/simulator.ts';
import { FREE_LIMITS } from '../support/stack.ts';
import { newLabel } from '../support/tenant.ts';
import { median } from './measure.ts';

const RUNS = 5;

export interface Selected {
  /** `standdown select`, from the start of the process to its end, in ms. */
  tookMs: number[];
  /** The list calls alone, by a bare loop: no budget, no checks, nothing written; in ms. */
  callsMs: number[];
  /** List calls of one select. */
  calls: number;
}

/** `standdown select` of so many pending actions, and the bare calls in turn. */
export async function selectPending(count: number): Promise<Selected> {
  const redis = await openTestRedis('bench');
  // Without a client it would end between two runs.
  await redis.connect();
  const { actions } = makeActions({ count, seed: 1 });
  const simulator = await startSimulatorProcess(FREE_LIMITS);
  const agent = new Agent({ connect: { ca: await readFile(simulator.caFile, 'utf8') } });
  const env = {
    ...simulator.settings,
    REDIS_URL: redis.url,
    STANDDOWN_TENANT: newLabel(),
    STANDDOWN_DATA_DIR: TEST_DIR,
  };
  try {
    const select = async () => {
      const child = startCli(['select', '--where', 'status=Pending'], { env });
      if ((await child.exited) !== 0) throw new Error(`select failed: ${child.stderr}`);
      const lines = child.stdout.trimEnd().split('\n').length;
      if (lines !== count) throw new Error(`${lines} lines instead of ${count}`);
    };
    await simulator.addActions(actions);
    const token = await signIn(simulator, agent);
    await select();
    const calls = (await simulator.calls()).filter(({ operation }) => operation === 'list');
    const paths = calls.map(({ path }) => path);
    const result: Selected = { tookMs: [], callsMs: [], calls: calls.length };
    for (let run = 0; run < RUNS; run++) {
      result.callsMs.push(await timed(() => fetchAll(simulator.apiUrl, paths, token, agent)));
      result.tookMs.push(await timed(select));
    }
    return result;
  } finally {
    await agent.close();
    await simulator.stop();
    await redis.close();
  }
}

/** By how much the whole command takes longer than its calls: the median of the runs, in s. */
export function overheadSeconds({ tookMs, callsMs }: Selected): number {
  return median(tookMs.map((ms, run) => ms - (callsMs[run] ?? Number.NaN))) / 1_000;
}

async function timed(run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

async function fetchAll(apiUrl: string, paths: readonly string[], token: string, dispatcher: Agent) {
  for (const path of paths) {
    const { statusCode, body } = await request(`${apiUrl}${path}`, {
      dispatcher,
      headers: { authorization: `Bearer ${token}` },
    });
    await body.json();
    if (statusCode !== 200) throw new Error(`the list answers ${statusCode}`);
  }
}

async function signIn(simulator: SimulatorProcess, dispatcher: Agent): Promise<string> {
  const { authorityUrl, tenantId, clientId, clientSecret, scope } = simulator;
  const { body } = await request(new URL(`/${tenantId}/oauth2/v2.0/token`, authorityUrl), {
    dispatcher,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      scope,
    }).toString(),
  });
  const { access_token } = (await body.json()) as { access_token: string };
  return access_token;
}
