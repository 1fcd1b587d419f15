import { z } from 'zod';
import { messageOf, StanddownError } from '../base/errors.ts';
import { type PlainSimulatorOptions, startSimulator } from './index.ts';
import { optionsSchema } from './schema.ts';

/*
 * A simulator as a process of its own: `node src/simulator/process.ts '<options as JSON>'`.
 *
 * Prints its addresses as one line of JSON when it is ready. Stops on SIGTERM or SIGINT, and when its standard input
 * ends: so it never outlives the process that started it with a pipe, however that one dies.
 */
async function main(): Promise<void> {
  const simulator = await startSimulator(readOptions(process.argv[2]));
  const stop = () => {
    process.stdin.destroy();
    void simulator.stop();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  process.stdin.once('end', stop).once('close', stop).once('error', stop).resume();
  const { apiUrl, authorityUrl, tenantId, clientId, clientSecret, scope, caFile } = simulator;
  const ready = { apiUrl, authorityUrl, tenantId, clientId, clientSecret, scope, caFile };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

function readOptions(text: string | undefined): PlainSimulatorOptions {
  const parsed = optionsSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new StanddownError('USAGE', `the simulator's options are wrong:\n${z.prettifyError(parsed.error)}`);
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (cause) {
    throw new StanddownError('USAGE', "the simulator's options are not JSON", { cause });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
