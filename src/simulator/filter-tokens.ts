/** A filter that the API would not understand. Caught where it is turned into a 400. */
export class FilterError extends Error {
  override readonly name = 'FilterError';
}

export type Token =
  | { kind: 'word'; text: string }
  | { kind: 'string'; value: string }
  /** `key` sorts as the time does. */
  | { kind: 'date'; key: string }
  | { kind: 'symbol'; text: '(' | ')' | ',' };

/** In this order at each place: strings, symbols, dates, words. Sticky, so that nothing is skipped. */
const STRING = /'((?:[^']|'')*)'/y;
const SYMBOL = /[(),]/y;
const DATE = /\d{4}-\d{2}-\d{2}(?:Z|T[0-9:.]+(?:Z|[+-]\d{2}:\d{2}))?/y;
const WORD = /[A-Za-z_][A-Za-z0-9_/]*/y;
const SPACE = /\s*/y;

/** Cuts a filter into tokens; throws FilterError at what is none. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const [token, length] = readToken(text, at);
    tokens.push(token);
    at = skipSpace(text, at + length);
  }
  return tokens;
}

function readToken(text: string, at: number): [Token, number] {
  const string = matchAt(STRING, text, at);
  if (string) return [{ kind: 'string', value: (string[1] ?? '').replaceAll("''", "'") }, string[0].length];
  const symbol = matchAt(SYMBOL, text, at);
  if (symbol) return [{ kind: 'symbol', text: symbol[0] as '(' | ')' | ',' }, 1];
  const date = matchAt(DATE, text, at);
  if (date) return [{ kind: 'date', key: dateKey(date[0]) }, date[0].length];
  const word = matchAt(WORD, text, at);
  if (word) return [{ kind: 'word', text: word[0] }, word[0].length];
  throw new FilterError(`Syntax error at position ${at} in '${text}'.`);
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function skipSpace(text: string, at: number): number {
  return at + (matchAt(SPACE, text, at)?.[0].length ?? 0);
}

/** A time as text that sorts in the order of time, with the API's seven decimals: a Date keeps only three. */
export function dateKey(text: string): string {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new FilterError(`'${text}' is not a date.`);
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  return `${new Date(ms).toISOString().slice(0, 19)}.${fraction.padEnd(7, '0').slice(0, 7)}`;
}
