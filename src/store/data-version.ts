import { StanddownError } from '../base/errors.ts';

/**
 * The version of what this program stores: records, campaigns, jobs of the campaigns' lane. Raised when something is
 * written that the version before the last one would misread; see "Versions of the data" in `docs/architecture.md`.
 */
export const DATA_VERSION = 1;

/** The last two versions understand each other: what the next one writes is written with this one in mind. */
const LATEST_UNDERSTOOD = DATA_VERSION + 1;

/** @throws StanddownError DATA_NEWER when a version writes there that this program does not understand. */
export function assertUnderstood(noted: number): void {
  if (noted <= LATEST_UNDERSTOOD) return;
  const both = `data version ${noted}; this version understands up to ${LATEST_UNDERSTOOD}`;
  throw new StanddownError(
    'DATA_NEWER',
    `a newer version of Standdown writes this tenant's data (${both}); use the newer version`,
    { context: { noted, understood: LATEST_UNDERSTOOD } },
  );
}

/** For scripts: says that this version writes here, unless a later one does. Returns the latest. */
export const VERSION_LUA = /* lua */ `
local function noteVersion(stateKey, noted)
  if (tonumber(noted) or 0) >= ${DATA_VERSION} then return tonumber(noted) end
  redis.call('HSET', stateKey, 'version', ${DATA_VERSION})
  return ${DATA_VERSION}
end
`;
