import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './processes.ts';

/** Who uses Redis, as docs/redis.md tells them apart. */
export const ROLES = ['worker', 'operator', 'reader', 'producer', 'inbox'] as const;

export type Role = (typeof ROLES)[number];

/** What a role may do: the words of its rule behind user name and password. */
export type Rules = Record<Role, readonly string[]>;

const DOCUMENT = join(ROOT, 'docs/redis.md');

/** What stands in the block of that name in docs/redis.md. */
export async function documented(block: string): Promise<string> {
  const text = await readFile(DOCUMENT, 'utf8');
  const found = new RegExp(`^\`\`\`${block}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(text)?.[1];
  assert(found !== undefined, `docs/redis.md has no block ${block}`);
  return found;
}

/** The users as docs/redis.md gives them: what is tested is what people copy. */
export async function documentedRules(): Promise<Rules> {
  const block = await documented('acl');
  const rules: Partial<Rules> = {};
  for (const line of block.split('\n').filter((part) => part.startsWith('user '))) {
    const [, name = '', on, password, ...rule] = line.split(/\s+/);
    if (name === 'default') continue;
    const role = ROLES.find((candidate) => name === `standdown-${candidate}`);
    assert(role !== undefined && on === 'on' && password?.startsWith('>'), line);
    rules[role] = rule;
  }
  assert.deepEqual(Object.keys(rules).sort(), [...ROLES].sort());
  return rules as Rules;
}

/** The commands of a rule, as Redis' own statistics call them. */
export function commandsOf(rule: readonly string[]): string[] {
  return rule.filter((word) => /^\+[^@]/.test(word)).map((word) => word.slice(1));
}

/** The users as Redis reads them, `default` switched off. */
export function aclFile(rules: Rules, tenant: string, passwordOf: (role: Role) => string): string {
  const lines = ROLES.map(
    (role) =>
      `user standdown-${role} on >${passwordOf(role)} ${rules[role].join(' ').replaceAll('<tenant>', tenant)}`,
  );
  return `${['user default off', ...lines].join('\n')}\n`;
}
