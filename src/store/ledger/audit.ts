/** More than anybody steers one campaign. Beyond that the oldest of the same stream go first. */
const MOST_AUDITED = 10_000;

/** For scripts that change a campaign: `audit(key, action, by, command, detail)` in the same step. */
export const AUDIT_LUA = /* lua */ `
local function audit(key, action, by, command, detail)
  redis.call('XADD', key, 'MAXLEN', '~', ${MOST_AUDITED}, '*', 'action', action, 'by', by, 'command', command, 'detail', detail)
end
`;
