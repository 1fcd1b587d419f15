import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface DemoWorker {
  /** Aborted, with the reason, when the worker ends on its own. */
  ended: AbortSignal;
  stop(): Promise<void>;
}

/** A worker in its own process, as in production. It logs to a file. */
export async function startDemoWorker(options: {
  dir: string;
  env: Record<string, string>;
}): Promise<DemoWorker> {
  const here = fileURLToPath(import.meta.url);
  const cli = join(here, '..', '..', `cli${extname(here)}`);
  const logFile = join(options.dir, 'worker.log');
  const log = await open(logFile, 'w');
  const ended = new AbortController();
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [cli, 'worker'], {
      env: options.env,
      stdio: ['ignore', 'ignore', log.fd],
    });
  } finally {
    await log.close();
  }
  const exited = once(child, 'exit');
  child.on('exit', (code, signal) =>
    ended.abort(`${code === null ? `signal ${signal}` : `exit code ${code}`}; its log is ${logFile}`),
  );
  child.on('error', (error) => ended.abort(error.message));
  return {
    ended: ended.signal,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await exited;
    },
  };
}
