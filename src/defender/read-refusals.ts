import type { Meaning } from './classify.ts';
import type { Token } from './sign-in.ts';

/** After so many refusals (403) to read in a row, nothing is asked with the same token any more. */
const MOST = 3;

/** Whether reading is refused whatever the token's permissions say: then asking only uses up time and calls. */
export function createReadRefusals() {
  let refused = { token: '', inARow: 0 };
  return {
    isRefused: ({ accessToken }: Token): boolean => refused.token === accessToken && refused.inARow >= MOST,
    /** Takes in an answer; null: as it should be. One that says nothing about permissions changes nothing. */
    note: ({ accessToken }: Token, meaning: Pick<Meaning, 'kind'> | null): void => {
      const isSame = refused.token === accessToken;
      if (meaning?.kind === 'forbidden')
        refused = { token: accessToken, inARow: (isSame ? refused.inARow : 0) + 1 };
      else if (isSame && meaning?.kind !== 'fault' && meaning?.kind !== 'throttled')
        refused = { token: '', inARow: 0 };
    },
  };
}
