import { assertUnderstood, VERSION_LUA } from '../data-version.ts';
import type { Keys } from '../keys.ts';
import { asNumber, asText, defineScript, type RedisClient } from '../script.ts';

/**
 * Notes which version writes here, unless a later one does.
 *
 * KEYS  1 state
 * Returns  the latest version that wrote here
 */
const noteScript = defineScript(
  'note-version',
  /* lua */ `
${VERSION_LUA}
return tostring(noteVersion(KEYS[1], redis.call('HGET', KEYS[1], 'version')))
`,
);

/** Says that this version writes here: before it does. @throws StanddownError DATA_NEWER */
export async function noteVersion(redis: RedisClient, keys: Keys): Promise<void> {
  assertUnderstood(asNumber(await noteScript(redis, [keys.state], [])));
}

/**
 * For those that only look: a newer `status` may not stop a tenant's workers.
 *
 * @throws StanddownError DATA_NEWER
 */
export async function checkVersion(redis: RedisClient, keys: Keys): Promise<void> {
  assertUnderstood(asNumber(asText(await redis.hget(keys.state, 'version'))));
}
