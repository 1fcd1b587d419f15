import { stringify } from 'csv-stringify/sync';

/** What a byte-order mark is in text: Excel takes a CSV without it for one in an old code page. */
export const BOM = '\ufeff';

/**
 * Rows as CSV. Texts come from outside: what a spreadsheet would take for a formula is made harmless with an apostrophe, also where it
 * would only after splitting the line on a semicolon, a tab or a bar in place of the comma, or after leaving out blanks and line breaks.
 */
export function csvText(rows: readonly (readonly unknown[])[]): string {
  return stringify(
    rows.map((row) => row.map((cell) => (typeof cell === 'string' ? harmless(cell) : cell))),
    { cast: { boolean: String } },
  );
}

/** A cell's beginning, or what may separate cells and stands around them; and what then begins a formula. Goes over each character once. */
const BEGINNINGS = /^[=+\-@＝＋－＠]|[\s\p{Cc}\p{Cf}"',;|]+[=+\-@＝＋－＠]?/gu;

function harmless(text: string): string {
  return text.replace(BEGINNINGS, (found, at: number) => {
    const last = found.slice(-1);
    const isFormula = /[=+\-@＝＋－＠]/.test(last) && (at === 0 || /[,;|\t\r\n]/.test(found));
    return isFormula ? `${found.slice(0, -1)}'${last}` : found;
  });
}
