/** More campaigns than there will ever be: a better priority goes before any number. */
const SPAN = 1e9;

/** Where a campaign stands among those that are fed: by priority, then in the order of their creation. */
export function feedingPlace(priority: number, number: number): number {
  return priority * SPAN + number;
}

/** The same in scripts. */
export const PLACE_LUA = /* lua */ `
local function feedingPlace(priority, number)
  return tonumber(priority) * ${SPAN} + number
end
`;
