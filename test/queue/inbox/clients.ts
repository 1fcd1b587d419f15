import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { redisServer } from '../../store/redis/support/machine.ts';
import { type Ran, ROOT, startProgram } from '../../support/processes.ts';

const run = promisify(execFile);

/** Where Debian's Python is, beside one of the user's own. */
const PYTHONS = ['python3', '/usr/bin/python3'];

export const NO_PYTHON = 'no Python here has redis-py: on Debian, apt-get install python3-redis';

let python: Promise<string | null> | undefined;

/** A Python that has redis-py; null: there is none. */
export function findPython(): Promise<string | null> {
  python ??= (async () => {
    for (const name of PYTHONS) {
      const found = await run(name, ['-c', 'import redis']).then(
        () => true,
        () => false,
      );
      if (found) return name;
    }
    return null;
  })();
  return python;
}

/** Runs a program to its end. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
): Promise<Ran> {
  const child = startProgram(program, args, { env: options.env ?? {} });
  child.stdin.end(options.stdin ?? '');
  const code = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** An environment in which `redis-cli` is that of the tests' Redis. */
export async function cliEnvironment(): Promise<Record<string, string>> {
  const { command, env } = await redisServer();
  return { ...env, PATH: `${dirname(command)}:${process.env['PATH'] ?? ''}` };
}

/** Adds entries from Python, a JSON object a line, and prints how many. */
const ADDER = `
import json, os, sys
import redis
r = redis.Redis.from_url(os.environ["REDIS_URL"])
pipe, count = r.pipeline(transaction=False), 0
for line in sys.stdin:
    pipe.xadd(os.environ["INBOX"], json.loads(line))
    count += 1
    if count % 1000 == 0:
        pipe.execute()
pipe.execute()
print(count)
`;

export async function addFromPython(
  program: string,
  place: { url: string; inbox: string },
  entries: readonly object[],
): Promise<Ran> {
  const lines = entries.map((entry) => JSON.stringify(entry)).join('\n');
  return runProgram(program, ['-c', ADDER], {
    env: { REDIS_URL: place.url, INBOX: place.inbox },
    stdin: lines,
  });
}

export const EXAMPLES = join(ROOT, 'docs/inbox.md');
