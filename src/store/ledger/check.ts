import { DETAIL_LENGTH } from './result.ts';

/**
 * The look with Get at what a 400 was about. In `checking`, as JSON: `since` when, `detail` (what the 400 said), `why` (what a pause is
 * to say of it), `answered` (Get was, and that explained nothing). After RECORD_LUA and DECIDE_LUA.
 */
export const CHECK_LUA = /* lua */ `
-- From now on only Get is called. The caller saves.
local function startCheck(k, id, r, detail, now, why)
  for i = 1, ${DETAIL_LENGTH} do detail[i] = detail[i] or '' end
  redis.call('HSET', k.checking, id, cjson.encode({since = math.floor(now), detail = detail, why = why}))
  r[STATE], r[NOT_BEFORE], r[FAILED], r[UNEXPLAINED] = CHECKING, 0, 0, 0
  release(r)
end

local function noteUnexplained(k, id)
  local check = cjson.decode(redis.call('HGET', k.checking, id) or '{}')
  if not check.since or check.answered then return end
  check.answered = true
  redis.call('HSET', k.checking, id, cjson.encode(check))
end
`;
