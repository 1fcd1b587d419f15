import { join } from 'node:path';
import { settingsFor } from '../../src/cli/simulate.ts';
import {
  connectSimulator,
  type PlainSimulatorOptions,
  type RemoteSimulator,
  type Simulator,
  startSimulator,
} from '../../src/simulator/index.ts';
import { sharedKeys, trust } from './certificate.ts';
import { ROOT, startNode } from './processes.ts';
import { TEST_DIR } from './redis.ts';
import { quotas } from './stack.ts';
import { newLabel } from './tenant.ts';

export interface SimulatorProcess extends RemoteSimulator {
  /** The environment that leads a worker to it. */
  settings: Record<string, string>;
  stop(): Promise<void>;
}

/** The simulator in a process of its own. `limits` as in RATE_LIMITS. */
export async function startSimulatorProcess(
  limits: string,
  options: Omit<PlainSimulatorOptions, 'dir'> = {},
): Promise<SimulatorProcess> {
  const child = startNode(join(ROOT, 'src/simulator/process.ts'), [
    JSON.stringify({
      dir: join(TEST_DIR, 'simulators', newLabel()),
      ...(await sharedKeys()),
      ...options,
      limits: { cancel: quotas(limits), get: quotas(limits), list: quotas(limits), ...options.limits },
    }),
  ]);
  const { apiUrl } = JSON.parse(await child.line()) as { apiUrl: string };
  const remote = await connectSimulator(apiUrl);
  return {
    ...remote,
    settings: settingsFor(remote, limits),
    stop: async () => {
      await remote.close();
      child.kill('SIGTERM');
      await child.exited;
    },
  };
}

export interface LocalSimulator extends Simulator {
  /** The environment that leads a command to it. */
  settings: Record<string, string>;
}

/** The simulator in this process, which trusts it from then on. `limits` as in RATE_LIMITS. */
export async function startLocalSimulator(
  limits: string,
  options: Omit<PlainSimulatorOptions, 'dir'> = {},
): Promise<LocalSimulator> {
  const keys = await sharedKeys();
  const simulator = await startSimulator({
    dir: join(TEST_DIR, 'simulators', newLabel()),
    ...keys,
    ...options,
    limits: { cancel: quotas(limits), get: quotas(limits), list: quotas(limits), ...options.limits },
  });
  trust(keys.certificate.cert);
  return { ...simulator, settings: settingsFor(simulator, limits) };
}

/** The simulator in this process, spoken to as if it were in its own: where no limit is judged by when calls arrive. */
export async function startSimulatorHere(
  limits: string,
  options: Omit<PlainSimulatorOptions, 'dir'> = {},
): Promise<SimulatorProcess> {
  const local = await startLocalSimulator(limits, options);
  const remote = await connectSimulator(local.apiUrl);
  return {
    ...remote,
    settings: local.settings,
    stop: async () => {
      await remote.close();
      await local.stop();
    },
  };
}
