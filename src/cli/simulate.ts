import { join } from 'node:path';
import { StanddownError } from '../base/errors.ts';
import { ownFolder } from '../base/own-folder.ts';
import { parseWindows } from '../config/limits.ts';
import {
  DEMO_MIX,
  type LimitMode,
  makeActions,
  type SimulatorAddresses,
  startSimulator,
} from '../simulator/index.ts';
import { type CommandContext, EXIT, writeJson } from './context.ts';
import { writeWhole } from './whole-file.ts';

export interface SimulateOptions {
  port: string;
  actions: string;
  seed: string;
  mode: LimitMode;
  limits: string;
  ids?: string;
  json: boolean;
}

/** Runs the simulator until stopped. Prints the settings with which a worker uses it. */
export async function runSimulate(context: CommandContext, options: SimulateOptions): Promise<number> {
  const { out, stop, config } = context;
  const windows = parseWindows(options.limits);
  if (typeof windows === 'string') throw new StanddownError('USAGE', `--limits: ${windows}`);
  const made = makeActions({
    count: whole('--actions', options.actions),
    seed: whole('--seed', options.seed),
    mix: DEMO_MIX,
  });
  const quotas = windows.map(({ max, lengthMs }) => ({ max, windowMs: lengthMs }));
  const dir = join(config.dataDir, 'simulator');
  await ownFolder(config.dataDir);
  await ownFolder(dir);
  const simulator = await startSimulator({
    dir,
    port: portOf(options.port),
    limits: { mode: options.mode, cancel: quotas, get: quotas, list: quotas },
    latencyMs: { min: 20, max: 80 },
    faults: made.faults,
    actions: made.actions,
  });
  try {
    const { ids } = options;
    if (ids !== undefined)
      await writeWhole(ids, { force: true }, (file) => file.writeFile(`${made.ids.join('\n')}\n`));
    const settings = settingsFor(simulator, options.limits);
    if (options.json) await writeJson(out, { ...settings, ids: made.ids.length });
    else
      await out.write(
        Object.entries(settings)
          .map(([name, value]) => `${name}=${value}\n`)
          .join(''),
      );
    out.note(`The simulator is running at ${simulator.apiUrl}. Stop it with Ctrl-C.`);
    out.note('Export the settings: NODE_EXTRA_CA_CERTS has no effect in an --env-file.');
    if (!stop.aborted)
      await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
    return EXIT.done;
  } finally {
    await simulator.stop();
  }
}

/** The environment of a worker that uses a simulator. */
export function settingsFor(simulator: SimulatorAddresses, limits: string): Record<string, string> {
  return {
    AZURE_TENANT_ID: simulator.tenantId,
    AZURE_CLIENT_ID: simulator.clientId,
    AZURE_CLIENT_SECRET: simulator.clientSecret,
    AZURE_AUTHORITY_HOST: simulator.authorityUrl,
    DEFENDER_API_URL: simulator.apiUrl,
    DEFENDER_SCOPE: simulator.scope,
    RATE_LIMITS: limits,
    NODE_EXTRA_CA_CERTS: simulator.caFile,
  };
}

function portOf(text: string): number {
  const port = whole('--port', text);
  if (port <= 65_535) return port;
  throw new StanddownError('USAGE', `--port: "${text}" is not a port from 0 to 65535`);
}

export function whole(option: string, text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new StanddownError('USAGE', `${option}: "${text}" is not a whole number`);
}
