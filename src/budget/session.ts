import type { Keys } from '../keys.ts';
import { asText, defineScript, type RedisClient } from '../script.ts';
import type { Memory } from './memory.ts';

/**
 * Which Redis process answers for a tenant: asked by a key, so that a cluster asks the right node.
 *
 * KEYS  1 state
 * Returns  its run id
 */
const identifyScript = defineScript(
  'identify',
  /* lua */ `
return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
`,
);

export interface Session {
  /** Resolves once it is known which Redis process the connection leads to. */
  ready(): Promise<void>;
}

/**
 * Learns anew, at each new connection, which Redis process is at its other end. No slot is asked for before that is
 * known: what would be asked of another process with an old one's run id would not be refused after a loss.
 */
export function createSession(deps: { redis: RedisClient; keys: Keys; memory: Memory }): Session {
  const { redis, keys, memory } = deps;
  let identified = identify();

  async function identify(): Promise<void> {
    memory.connected(asText(await identifyScript(redis, [keys.state], [])));
  }

  function again(): void {
    identified = identify();
    identified.catch(() => undefined);
  }

  identified.catch(() => undefined);
  redis.on('close', again);
  redis.on('+node', again);
  redis.on('-node', again);

  return {
    ready: async () => {
      for (;;) {
        const current = identified;
        try {
          await current;
          if (current === identified) return;
        } catch (error) {
          if (current !== identified) continue;
          again();
          throw error;
        }
      }
    },
  };
}
