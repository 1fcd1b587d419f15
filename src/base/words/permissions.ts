/* What a token permits, in the same words everywhere. */

/** What a token lacks, after `The token`: `has Alert.Read.All only: no permission to cancel`. @param doing a verb, such as `cancel`. */
export function describeLack(roles: readonly string[], doing: string): string {
  return roles.length === 0
    ? `has no permissions: it cannot ${doing}`
    : `has ${roles.join(', ')} only: no permission to ${doing}`;
}
