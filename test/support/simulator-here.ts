import { join } from 'node:path';
import { settingsFor } from '../../src/commands/simulate.ts';
import { connectSimulator, type PlainSimulatorOptions, startSimulator } from '../../src/simulator/index.ts';
import { TEST_DIR } from './redis.ts';
import type { SimulatorProcess } from './simulator.ts';
import { quotas } from './stack.ts';
import { newLabel } from './tenant.ts';

/** The simulator in this process, told what to do as if it were in its own: where no limit is judged by when calls arrive. */
export async function startSimulatorHere(
  limits: string,
  options: Omit<PlainSimulatorOptions, 'dir'> = {},
): Promise<SimulatorProcess> {
  const simulator = await startSimulator({
    dir: join(TEST_DIR, 'simulators', newLabel()),
    ...options,
    limits: { cancel: quotas(limits), get: quotas(limits), list: quotas(limits), ...options.limits },
  });
  const remote = await connectSimulator(simulator.apiUrl);
  return {
    ...remote,
    settings: settingsFor(remote, limits),
    stop: async () => {
      await remote.close();
      await simulator.stop();
    },
  };
}
