import { foreign } from '../../base/foreign.ts';

/** What was looked at, in this order. */
export type Check = 'settings' | 'limits' | 'redis' | 'sign-in' | 'permissions' | 'api';

/** `problem`: it would stop a campaign. `warning`: it would not, but somebody should know. */
export type Level = 'ok' | 'warning' | 'problem';

export interface Finding {
  check: Check;
  level: Level;
  /** What is the case. */
  finding: string;
  /** What that means; empty: no more than it says. */
  meaning: string;
  /** What to do; empty: nothing. */
  advice: string;
}

/** A finding and the words around it. */
type Words = Pick<Finding, 'finding'> & Partial<Pick<Finding, 'meaning' | 'advice'>>;

/** Longest text, in characters. */
const MAX_TEXT = 2_000;

/** As a sentence begins, also where an error is quoted. The name of a setting, an address and a path stay as they are. */
function capitalized(text: string): string {
  return /^[a-z]+ /.test(text) ? `${text.charAt(0).toUpperCase()}${text.slice(1)}` : text;
}

/** Makes the findings of one check. Answers and settings are quoted in them. */
export function findingsOf(check: Check) {
  const at =
    (level: Level) =>
    ({ finding, meaning = '', advice = '' }: Words): Finding => {
      const [what = '', why = '', how = ''] = [capitalized(finding), meaning, advice].map((text) =>
        foreign(text, MAX_TEXT),
      );
      return { check, level, finding: what, meaning: why, advice: how };
    };
  return { ok: at('ok'), warning: at('warning'), problem: at('problem') };
}
