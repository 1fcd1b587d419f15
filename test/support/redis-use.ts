import type { Redis } from 'ioredis';

/** Which commands were run by whom, those inside of scripts included. */
export interface RedisUse {
  /** By user: each command as Redis' rules call it, sorted. */
  readonly commands: ReadonlyMap<string, ReadonlySet<string>>;
  stop(): void;
}

/** Commands that are permitted with their subcommand. */
const CONTAINERS = ['client', 'config', 'script', 'cluster', 'acl', 'xinfo', 'object', 'memory', 'xgroup'];

/**
 * Watches a Redis with MONITOR. It shows a connection's address and not its user, so users are told apart by the name
 * that each connection gives itself first; and a script's own commands follow its call at once, for nothing comes between.
 *
 * @param userOf the user whose connections have such a name.
 */
export async function watchUse(admin: Redis, userOf: (connectionName: string) => string): Promise<RedisUse> {
  const commands = new Map<string, Set<string>>();
  const users = new Map<string, string>();
  /** What came from an address before its name. */
  const early = new Map<string, string[]>();
  let caller = '';
  const note = (address: string, command: string) => {
    const user = users.get(address);
    if (user === undefined) early.set(address, [...(early.get(address) ?? []), command]);
    else commands.set(user, (commands.get(user) ?? new Set()).add(command));
  };
  const monitor = await admin.monitor();
  monitor.on('monitor', (_time: string, words: string[], source: string) => {
    const isInScript = source === 'lua';
    if (!isInScript) caller = source;
    const command = nameOf(words);
    if (!isInScript && command === 'client|setname' && !users.has(caller)) {
      users.set(caller, userOf(words[2] ?? ''));
      for (const noted of early.get(caller) ?? []) note(caller, noted);
      early.delete(caller);
    }
    note(caller, command);
  });
  return { commands, stop: () => monitor.disconnect() };
}

function nameOf([first = '', second = '']: readonly string[]): string {
  const name = first.toLowerCase();
  return CONTAINERS.includes(name) ? `${name}|${second.toLowerCase()}` : name;
}
