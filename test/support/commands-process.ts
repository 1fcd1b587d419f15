import { runCommand } from './command.ts';

/** Runs the commands it is sent, one after the other, in an environment that libraries read for themselves. */
process.on('message', async ({ args, env }: { args: string[]; env: Record<string, string> }) => {
  process.send?.(await runCommand(args, { env }));
});
