/** More campaigns than there will ever be: a better priority goes before any number. */
const SPAN = 1e9;

/** The priority of urgent campaigns, before 1: they may use the reserve, and go into a lane of their own. */
export const URGENT = 0;

/** A priority as people write it. */
export function describePriority(priority: number): string {
  return priority === URGENT ? 'urgent' : String(priority);
}

/** Whether a campaign that stands there is urgent. */
export function isUrgentPlace(place: number): boolean {
  return place < SPAN;
}

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
