import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Agent, type Dispatcher, request } from 'undici';
import type { Clock } from '../../src/base/clock.ts';
import {
  type MachineAction,
  type Simulator,
  type SimulatorAddresses,
  type SimulatorOptions,
  startSimulator,
} from '../../src/simulator/index.ts';
import { sharedKeys } from '../support/certificate.ts';

export const ID = '0b7e1c52-3f4a-4d6b-8c9d-1e2f3a4b5c6d';
export const OTHER_ID = '1c8f2d63-405b-4e7c-9dae-2f3a4b5c6d7e';
export const COMMENT = JSON.stringify({ Comment: 'Started by mistake' });

export interface ErrorBody {
  error: { code: string; message: string; target: string };
}

export interface ListBody {
  '@odata.context': string;
  '@odata.nextLink'?: string;
  value: MachineAction[];
}

export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  json<Body>(): Body;
}

export interface CallOptions {
  /** Default: the bench's token; null: none. */
  token?: string | null;
  body?: string;
  contentType?: string;
}

/** A running simulator and calls to it that say how they ended. */
export interface Bench {
  simulator: Simulator;
  token: string;
  agent: Agent;
  cancel(id?: string, options?: CallOptions): Promise<Reply>;
  get(path: string, options?: CallOptions): Promise<Reply>;
}

/** A folder that is gone after the test. */
export async function makeDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'simulator-test-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Starts a simulator with one pending action, `ID`, and signs in to it. Both end with the test. */
export async function startBench(t: TestContext, options: Partial<SimulatorOptions> = {}): Promise<Bench> {
  const dir = await makeDir(t);
  const simulator = await startSimulator({ dir, ...(await sharedKeys()), actions: [{ id: ID }], ...options });
  const agent = new Agent();
  t.after(async () => {
    await simulator.stop();
    await agent.destroy();
  });
  const token = await fetchToken(simulator);
  const headersFor = ({ token: own = token, contentType = 'application/json' }: CallOptions) => ({
    ...(own !== null && { authorization: `Bearer ${own}` }),
    'content-type': contentType,
  });
  const call = (method: 'GET' | 'POST', path: string, options: CallOptions) =>
    ask(`${simulator.apiUrl}${path}`, {
      dispatcher: agent,
      method,
      headers: headersFor(options),
      ...(method === 'POST' && { body: options.body ?? COMMENT }),
    });
  return {
    simulator,
    token,
    agent,
    cancel: (id = ID, options = {}) => call('POST', `/api/machineactions/${id}/cancel`, options),
    get: (path, options = {}) => call('GET', path, options),
  };
}

export async function ask(
  url: string,
  options: {
    dispatcher: Dispatcher;
    method: 'GET' | 'POST';
    headers?: Record<string, string>;
    body?: string;
  },
): Promise<Reply> {
  const response = await request(url, options);
  const text = await response.body.text();
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: <Body>() => JSON.parse(text) as Body,
  };
}

/** Trusts the simulator's certificate and nothing else. */
export async function trustingAgent(caFile: string): Promise<Agent> {
  return new Agent({ connect: { ca: await readFile(caFile, 'utf8') } });
}

/** Posts a form to the token endpoint: a good one but for `changes`; null leaves a field out. */
export async function askForToken(
  simulator: SimulatorAddresses,
  changes: Record<string, string | null> = {},
  tenantId = simulator.tenantId,
): Promise<Reply> {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: simulator.clientId,
    client_secret: simulator.clientSecret,
    scope: simulator.scope,
  });
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) form.delete(name);
    else form.set(name, value);
  }
  const dispatcher = await trustingAgent(simulator.caFile);
  try {
    return await ask(`${simulator.authorityUrl}/${tenantId}/oauth2/v2.0/token`, {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    });
  } finally {
    await dispatcher.destroy();
  }
}

export async function fetchToken(simulator: SimulatorAddresses): Promise<string> {
  const reply = await askForToken(simulator);
  return reply.json<{ access_token: string }>().access_token;
}

/** Turns the event loop until `seen` says so; gives up after a minute. */
export async function until(seen: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!seen()) {
    if (performance.now() > deadline) throw new Error(`never seen: ${seen}`);
    await nextTurn();
  }
}

export interface TestClock extends Clock {
  /** Moves both times on and ends the sleeps that are over. */
  advance(ms: number): void;
  sleeping(): number;
}

/** A clock that stands still until it is told to move. */
export function createTestClock(): TestClock {
  let passedMs = 0;
  let sleepers: { untilMs: number; wake: () => void }[] = [];
  const startedAt = Date.now();
  return {
    wall: () => startedAt + passedMs,
    monotonic: () => passedMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
        sleepers.push({ untilMs: passedMs + ms, wake: resolve });
      }),
    advance: (ms) => {
      passedMs += ms;
      for (const { untilMs, wake } of sleepers) if (untilMs <= passedMs) wake();
      sleepers = sleepers.filter(({ untilMs }) => untilMs > passedMs);
    },
    sleeping: () => sleepers.length,
  };
}
