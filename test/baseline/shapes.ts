import { makeActions } from '../../src/simulator/index.ts';
import { openShell } from '../cli/shell.ts';
import { openTestRedis } from '../support/redis.ts';
import { openStack } from '../support/stack.ts';

/**
 * The shape of what each command prints with `--json`, in this order, against a simulator with a fixed seed: numbers, times and ids
 * are replaced by what they are.
 */
const COMMANDS = [
  'select --where status=Pending --limit 2',
  'submit ids.txt --campaign one --comment x --yes --dry-run',
  'submit ids.txt --campaign one --comment x --yes',
  'status one',
  'status',
  'priority one 1',
  'pause one',
  'pause one',
  'resume one',
  'abort one --yes',
  'resume one',
  'submit ids.txt --campaign two --comment x --yes',
  'retry two --outcome forbidden',
  'verify two',
  'history ID',
  'report one',
  'budget',
  'tenants',
  'doctor',
  'delete one --yes --force',
  'status gone',
  'submit bad.txt --campaign three --comment x --yes',
];

export async function shapes(): Promise<string[]> {
  const server = await openTestRedis();
  const stack = await openStack(server);
  const shell = await openShell(server, stack.env);
  try {
    const { ids, actions } = makeActions({ count: 3, seed: 1 });
    stack.simulator.addActions(actions);
    await shell.write('bad.txt', `${ids[0]}\nno id\n`);
    await shell.write('ids.txt', `${ids.join('\n')}\n`);
    const lines: string[] = [];
    for (const command of COMMANDS) {
      const args = command
        .split(' ')
        .map((arg) => (/\.txt$/.test(arg) ? shell.path(arg) : arg === 'ID' ? (ids[0] ?? '') : arg));
      const { code, stdout } = await shell.run([...args, '--json']);
      const documents = stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => shapeOf(JSON.parse(line)));
      lines.push(`${command}: ${code} ${[...new Set(documents)].join(' ')}`);
    }
    return lines;
  } finally {
    await shell.close();
    await stack.close();
    await server.close();
  }
}

function shapeOf(value: unknown): string {
  if (Array.isArray(value)) return `[${[...new Set(value.map(shapeOf))].join(', ')}]`;
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  const fields = Object.entries(value).map(([name, field]) => `${name}: ${shapeOf(field)}`);
  return `{${fields.join(', ')}}`;
}
